"""`faultline notify deliveries`, `delivery`, `replay`: what arrived, what did not, and again."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.lookup import find_run
from services.cli.sdk import Client
from services.cli.session import Session
from services.cli.ui.notices import deliveries_table, delivery_view
from services.cli.ui.text import plural, safe
from shared.errors import NotFound

_LOOKED_THROUGH = 500
_SHORTEST = 4


class State(StrEnum):
    """What became of a delivery."""

    HELD = "held"
    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


Which = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, or the beginning or end of it.")]
Channel = Annotated[str | None, typer.Option("--channel", metavar="CHANNEL", help="To this channel.")]


def list_deliveries(
    session: Session,
    states: Annotated[list[State] | None, typer.Option("--state", help="dead: given up (repeat).")] = None,
    channel: Channel = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Of notices of this run.")] = None,
    kinds: Annotated[list[str] | None, typer.Option("--notice", metavar="NOTICE", help="Of these (repeat).")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
) -> None:
    """List what was sent, newest first, and what came of it.

    \b
    Examples:
      faultline notify deliveries --state dead
      faultline notify deliveries --run last
    """
    found = session.client.deliveries(
        limit,
        states=[state.value for state in states or ()],
        channel=channel,
        run=find_run(session.client, run).id if run else None,
        kinds=kinds or (),
    )
    session.show(found, deliveries_table(found))


def show_delivery(session: Session, which: Which) -> None:
    """Show what was sent, and what each attempt was answered.

    Example: faultline notify delivery 1d8a14c0
    """
    found = session.client.delivery(_find(session.client, which))
    session.show(found, delivery_view(found))


def replay(
    session: Session,
    which: Annotated[
        list[str] | None, typer.Argument(metavar="[DELIVERY...]", help="Ids, or their beginnings or ends.")
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that --channel did not take.")] = False,
    channel: Channel = None,
) -> None:
    """Send again, under the same id: a receiver that took it already can tell.

    \b
    Examples:
      faultline notify replay 1d8a14c0
      faultline notify replay --dead --channel ops-hook
    """
    if bool(which) == dead or dead != bool(channel):
        raise WrongArguments(
            "What is to be sent again is not said.", remedy="Name some, or give --dead --channel NAME."
        )
    if channel:
        told = session.client.replay_dead(channel)
        words = f"{plural(told.replayed, 'delivery', 'deliveries')} to {safe(channel)} sent again."
        session.show(told, Text(words))
        return
    again = [session.client.replay(_find(session.client, word)) for word in which or ()]
    session.show(again, deliveries_table(again))


def _find(client: Client, word: str) -> UUID:
    """The id of a delivery by it, or the beginning or end of it. Raises `NotFound`."""
    try:
        return UUID(word)
    except ValueError:
        part = word.lower().strip("…")
    if len(part) < _SHORTEST:
        raise NotFound(f"{word!r} is too short to name a delivery.", remedy="Give at least four signs of its id.")
    ids = [one.id for one in client.deliveries(_LOOKED_THROUGH)]
    found = [one for one in ids if str(one).startswith(part) or str(one).endswith(part)]
    if len(found) != 1:
        raise NotFound(
            f"{word!r} names {len(found) or 'none'} of the newest deliveries.",
            remedy="`faultline notify deliveries` lists them.",
        )
    return found[0]

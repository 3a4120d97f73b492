"""`faultline notify`: be told what happens. What it has more of is in the `notify_*.py` beside this file."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments, build
from services.cli.commands.notify_channels import app as channel_app
from services.cli.commands.notify_channels import list_channels
from services.cli.commands.notify_deliveries import list_deliveries, replay, show_delivery
from services.cli.commands.notify_inbox import acknowledge, inbox
from services.cli.commands.notify_subscribe import subscribe
from services.cli.commands.run_filter import span_s
from services.cli.lazy import Group
from services.cli.sdk import Client
from services.cli.session import Session, command
from services.cli.ui.notices import kinds_table, subscription_view, subscriptions_table
from services.cli.ui.text import plural, safe
from shared.contracts.notifying import MaintenanceRequest, SubscriptionView
from shared.errors import NotFound

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    add_completion=False,
    help="Be told what happens: by webhook, mail, chat, or here in your inbox.",
)
app.add_typer(channel_app, name="channel")
_LOOKED_THROUGH = 1000
_SHORTEST = 4
Which = Annotated[
    str, typer.Argument(metavar="SUBSCRIPTION", help="Its id, or the beginning or end of it.", show_default=False)
]
Some = Annotated[
    list[str], typer.Argument(metavar="SUBSCRIPTION...", help="Ids, or their beginnings or ends.", show_default=False)
]


@command(app, "kinds")
def list_kinds(session: Session) -> None:
    """List what can be told, with --json an example of each."""
    found = session.client.notice_kinds()
    session.show(found, kinds_table(found))


command(app, "subscribe")(subscribe)


@command(app, "subscriptions")
def list_subscriptions(
    session: Session,
    everybody: Annotated[bool, typer.Option("--all", help="Those of everybody; for admins.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> None:
    """List what you are told, where and when."""
    found = session.client.subscriptions(limit, everybody=everybody)
    session.show(found, subscriptions_table(found, everybody=everybody))


@command(app, "unsubscribe")
def unsubscribe(session: Session, which: Some) -> None:
    """Be told nothing more of it. Channels stay.

    Example: faultline notify unsubscribe 3b1d8a14
    """
    found = [_find(session.client, word) for word in which]
    for one in found:
        session.client.unsubscribe(one.id)
    words = f"{plural(len(found), 'subscription')} removed."
    session.show({"removed": [str(one.id) for one in found]}, Text(words))


@command(app, "mute")
def mute(
    session: Session,
    which: Which,
    span: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 30min, 2h, 3d.")] = "8h",
    off: Annotated[bool, typer.Option("--off", help="Be told again.")] = False,
) -> None:
    """Be told nothing of it for a while.

    \b
    Examples:
      faultline notify mute 3b1d8a14 --for 2h
      faultline notify mute 3b1d8a14 --off
    """
    seconds = span_s(span)
    if not seconds or seconds < 0:
        raise WrongArguments(f"--for {span!r} is no time.", remedy="Write 30min, 2h or 3d.")
    until = None if off else datetime.now(UTC) + timedelta(seconds=seconds)
    muted = session.client.change_subscription(_find(session.client, which).id, muted_until=until)
    session.show(muted, subscription_view(muted))


command(app, "channels")(list_channels)
command(app, "deliveries")(list_deliveries)
command(app, "delivery")(show_delivery)
command(app, "replay")(replay)
command(app, "inbox")(inbox)
command(app, "ack")(acknowledge)


@command(app, "announce")
def announce(
    session: Session,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", show_default=False)],
    begins: Annotated[
        datetime | None, typer.Option("--begins", metavar="TIME", help="Of the work, by the clock here.")
    ] = None,
    ends: Annotated[datetime | None, typer.Option("--ends", metavar="TIME", help="The same.")] = None,
) -> None:
    """Tell everybody who wants to know of work on the platform. For operators.

    Example: faultline notify announce "The GPU pool is drained." --begins 2026-11-25T20:00 --ends 2026-11-25T22:00
    """
    request = build(
        MaintenanceRequest,
        message=message,
        begins_at=begins and begins.astimezone(),
        ends_at=ends and ends.astimezone(),
    )
    told = session.client.announce_maintenance(request)
    session.show(told, Text(f"Announced: {safe(message)}"))


def _find(client: Client, word: str) -> SubscriptionView:
    """A subscription by its id, or the beginning or end of it. Raises `NotFound`."""
    try:
        return client.subscription(UUID(word))
    except ValueError:
        pass
    part = word.lower().strip("…")
    if len(part) < _SHORTEST:
        raise NotFound(f"{word!r} is too short to name a subscription.", remedy="Give at least four signs of its id.")
    mine = client.subscriptions(_LOOKED_THROUGH)
    found = [one for one in mine if str(one.id).startswith(part) or str(one.id).endswith(part)]
    if len(found) != 1:
        raise NotFound(
            f"{word!r} names {len(found) or 'none'} of your subscriptions.",
            remedy="`faultline notify subscriptions` lists them.",
        )
    return found[0]

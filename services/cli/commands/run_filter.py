"""The options that say which runs are meant, shared by `runs list` and by what acts on many runs."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.arguments import WrongArguments
from services.cli.lookup import find_run
from services.cli.sdk import RunFilter
from services.cli.session import OptionGroup, Session
from shared.contracts.states import RunState

Texts = list[str] | None
Kinds = Annotated[Texts, typer.Option("--kind", metavar="KIND", help="Of this kind, e.g. model.train (repeat).")]
States = Annotated[list[RunState] | None, typer.Option("--state", metavar="STATE", help="In this state (repeat).")]
OfPool = Annotated[str | None, typer.Option("--pool", metavar="POOL", help="Of this pool.", show_default=False)]
Labels = Annotated[Texts, typer.Option("--label", metavar="NAME:VALUE", help="With this label (repeat: all of them).")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Asked for since: 30min, 2h, 3d, or 2026-01-31T12:00.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Asked for before.")]
Parent = Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Children of this run.")]
Family = Annotated[str | None, typer.Option("--family", metavar="SIGNATURE", help="Failures of this family.")]
Words = Annotated[str | None, typer.Option("--text", "-q", metavar="TEXT", help="In the name, a label or the error.")]

_SPAN = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Which(OptionGroup):
    """The filter as it was given."""

    def __init__(
        self,
        session: Session,
        kinds: Kinds = None,
        states: States = None,
        of_pool: OfPool = None,
        labels: Labels = None,
        since: Since = None,
        until: Until = None,
        parent: Parent = None,
        family: Family = None,
        text: Words = None,
    ) -> None:
        given = (kinds, states, of_pool, labels, since, until, parent, family, text)
        self.anything = any(given)  #: whether anything was said at all
        self.filter = RunFilter(
            kinds=kinds or [],
            states=states or [],
            pool=of_pool,
            labels=label_words(labels),
            created_after=moment(since, "--since"),
            created_before=moment(until, "--until"),
            parent=find_run(session.client, parent).id if parent else None,
            error_signature=family,
            text=text,
        )


def label_words(given: Sequence[str] | None) -> dict[str, str]:
    """`name:value` or `name=value` words as labels. Raises `WrongArguments`."""
    found: dict[str, str] = {}
    for word in given or ():
        end = min((word.index(sign) for sign in ":=" if sign in word), default=0)
        name, value = word[:end], word[end + 1 :]
        if not name or found.get(name, value) != value:
            raise WrongArguments(f"--label {word!r} is not of the form NAME:VALUE, each name once.")
        found[name] = value
    return found


def span_s(given: str) -> int | None:
    """Seconds of `30min`, `2h`, `3d`; None for what is no span of time."""
    found = _SPAN.fullmatch(given.strip())
    return int(found[1]) * _UNITS[found[2]] if found else None


def moment(given: str | None, option: str, now: datetime | None = None) -> datetime | None:
    """A time as it was typed: so long ago, or a date with or without a time (of this machine's zone)."""
    if given is None:
        return None
    ago_s = span_s(given)
    if ago_s is not None:
        return (now or datetime.now(UTC)) - timedelta(seconds=ago_s)
    try:
        found = datetime.fromisoformat(given.strip())
    except ValueError as error:
        raise WrongArguments(
            f"{option} {given!r} is no time.", remedy="Write 30min, 2h, 3d, or a date such as 2026-01-31T12:00."
        ) from error
    return found if found.tzinfo else found.astimezone()

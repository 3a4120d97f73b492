"""`faultline schedules`: runs by the clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments, build, pairs, settings
from services.cli.commands.run_clone import nested
from services.cli.lazy import ListingGroup
from services.cli.lookup import find_run
from services.cli.outcome import Wait, Watch, follow_up
from services.cli.sdk import ApiConflict, RunFilter
from services.cli.session import Session, command
from services.cli.ui.schedules import schedule_view, schedules_table
from services.cli.ui.tables import runs_table
from services.cli.ui.text import safe
from shared.contracts.kinds import KINDS
from shared.contracts.schedules import ScheduleChange, ScheduleRequest
from shared.errors import Stale

app = typer.Typer(cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Runs by the clock.")


class Overlap(StrEnum):
    """What happens when the last run has not ended."""

    SKIP = "skip"
    ALLOW = "allow"


Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Name or id.", show_default=False)]
NewName = Annotated[str, typer.Argument(metavar="NAME", help="Of the new schedule.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Cron = Annotated[
    str, typer.Option(metavar="CRON", help='Minute, hour, day, month, weekday: "0 2 * * 1-5".', show_default=False)
]
NewCron = Annotated[str | None, typer.Option("--cron", metavar="CRON", help="Minute, hour, day, month, weekday.")]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Of its runs.")]
Like = Annotated[str | None, typer.Option("--like", metavar="RUN", help="Kind, spec, priority and labels of this run.")]
Zone = Annotated[str | None, typer.Option(metavar="ZONE", help="Of the times, e.g. Europe/Berlin; default: UTC.")]
NewZone = Annotated[str | None, typer.Option("--timezone", metavar="ZONE", help="Of the times, e.g. Europe/Berlin.")]
Overlapping = Annotated[Overlap | None, typer.Option(help="When its last run has not ended; skip is usual.")]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Of the spec, e.g. recipe.epochs=20; null: its default."),
]
Pool = Annotated[str | None, typer.Option("--pool", metavar="POOL", help="Pool of workers; none: that of the kind.")]
Priority = Annotated[int | None, typer.Option("--priority", min=-100, max=100, help="Higher goes first.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Of its runs (repeat).")]
NewLabels = Annotated[
    list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Of its runs, in place of the old (repeat).")
]
Paused = Annotated[bool, typer.Option("--paused", help="Make it, but let it submit nothing yet.")]
IfMatch = Annotated[
    str | None, typer.Option("--if-match", metavar="TAG", help="Only if it still is as `show` gave it with this tag.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@command(app, "list")
def list_schedules(session: Session, limit: Limit = 50) -> None:
    """List schedules: when they run next, and what went wrong last."""
    found = session.client.schedules(limit)
    session.show(found, schedules_table(found))


@command(app, "show")
def show_schedule(session: Session, name: Name) -> None:
    """Show a schedule, its next times, and the tag of how it is now."""
    found, tag = session.client.schedule_and_tag(name)
    session.show({**found.model_dump(mode="json"), "tag": tag}, schedule_view(found, tag))


@command(app, "create")
def create_schedule(
    session: Session,
    name: NewName,
    cron: Cron,
    kind: Kind = None,
    like: Like = None,
    fields: Fields = None,
    timezone: Zone = None,
    overlap: Overlapping = None,
    pool: Pool = None,
    priority: Priority = None,
    labels: Labels = None,
    paused: Paused = False,
) -> None:
    """Submit a run again and again, on your behalf and as long as you may.

    What a run makes needs a name of its own: `{time}` in it becomes the time; by default it is NAME-{time}.

    \b
    Examples:
      faultline schedules create nightly --cron "0 2 * * *" --timezone Europe/Berlin --like last
      faultline schedules create hourly --cron "0 * * * *" --kind dataset.generate --set units_per_fault=2
    """
    given: dict[str, Any] = _like(session, like, kind)
    given["spec"] = _merged(given["spec"], _named(name, given["kind"], nested(settings(fields))))
    given |= {"labels": pairs(labels, "--label")} if labels else {}
    given |= {} if priority is None else {"priority": priority}
    given |= {} if pool in {None, "none"} else {"pool": pool}
    request = build(
        ScheduleRequest,
        name=name,
        cron=cron,
        timezone=timezone,
        overlap=overlap and overlap.value,
        enabled=not paused,
        **given,
    )
    made = session.client.create_schedule(request)
    session.show(made, schedule_view(made))


@command(app, "change")
def change_schedule(
    session: Session,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name.")] = None,
    cron: NewCron = None,
    timezone: NewZone = None,
    overlap: Overlapping = None,
    fields: Fields = None,
    pool: Pool = None,
    priority: Priority = None,
    labels: NewLabels = None,
    if_match: IfMatch = None,
) -> None:
    """Change a schedule; what is left out stays. From now on it submits on your behalf.

    What somebody else changed in between is never overwritten by --set, nor by anything with --if-match.

    \b
    Examples:
      faultline schedules change nightly --cron "30 4 * * *" --set seed=9
      faultline schedules change nightly --pool none --if-match 5f0c33a1…
    """
    new: dict[str, Any] = {"name": new_name, "cron": cron, "timezone": timezone, "overlap": overlap and overlap.value}
    new |= {"priority": priority, "labels": pairs(labels, "--label") or None}
    changes: dict[str, Any] = {field: value for field, value in new.items() if value is not None}
    if pool is not None:
        changes["pool"] = None if pool == "none" else pool
    if not changes and not fields:
        raise WrongArguments("Nothing is to be changed.", remedy="`--help` lists what can be.")
    build(ScheduleChange, **changes)
    if fields:
        seen, tag = session.client.schedule_and_tag(name)
        changes["spec"] = _merged(seen.spec, nested(settings(fields)))
        if_match = if_match or tag
    with _nothing_lost(name):
        changed = session.client.change_schedule(name, if_match=if_match, **changes)
    session.show(changed, schedule_view(changed))


@command(app, "pause")
def pause_schedule(session: Session, name: Name) -> None:
    """Let a schedule submit nothing until it is resumed; its runs go on.

    Example: faultline schedules pause nightly
    """
    paused = session.client.change_schedule(name, enabled=False)
    session.show(paused, schedules_table([paused]))


@command(app, "resume")
def resume_schedule(session: Session, name: Name) -> None:
    """Let a schedule submit again, from its next time on and on your behalf.

    Example: faultline schedules resume nightly
    """
    resumed = session.client.change_schedule(name, enabled=True)
    session.show(resumed, schedules_table([resumed]))


@command(app, "run")
def run_schedule(session: Session, name: Name, wait: Wait = False, watch: Watch = False) -> None:
    """Submit its run now, beside its times.

    Example: faultline schedules run nightly --watch
    """
    follow_up(session, session.client.run_schedule(name), wait=wait, watching=watch)


@command(app, "runs")
def list_runs(session: Session, name: Name, limit: Limit = 20) -> None:
    """List the runs that a schedule has submitted, newest first.

    Example: faultline schedules runs nightly
    """
    found = session.client.runs(RunFilter(schedule=session.client.schedule(name).id), limit=limit)
    session.show(found, runs_table(found))


@command(app, "delete")
def delete_schedule(session: Session, name: Name, yes: Yes = False) -> None:
    """Delete a schedule; its runs stay. If it changes while you are asked, it is not deleted.

    Example: faultline schedules delete nightly
    """
    found, tag = session.client.schedule_and_tag(name)
    session.confirm(f"Delete the schedule {found.name!r} ({found.kind} at {found.cron})?", yes=yes)
    with _nothing_lost(name):
        session.client.delete_schedule(str(found.id), if_match=tag)
    words = Text(f"The schedule {safe(found.name)} is deleted; its runs stay.")
    session.show({"deleted": str(found.id), "name": found.name}, words)


@contextmanager
def _nothing_lost(name: str) -> Iterator[None]:
    """Raises `Stale` for a change that was made to something else than what is there now."""
    try:
        yield
    except ApiConflict as error:
        if error.status != Stale.status_code:
            raise
        raise Stale(
            f"The schedule {name!r} is not any more as it was seen; nothing was done to it.",
            remedy=f"`faultline schedules show {name}` shows it as it is now. If it is still wanted, call this again.",
        ) from error


def _like(session: Session, run: str | None, kind: str | None) -> dict[str, Any]:
    """Kind and spec of what is to run, and what else a run is copied with. Raises `WrongArguments`."""
    if (run is None) == (kind is None):
        said = "not said" if run is None else "said twice"
        raise WrongArguments(f"What is to run is {said}.", remedy="Give --kind KIND, or --like RUN.")
    if run is None:
        return {"kind": kind, "spec": {}}
    found = find_run(session.client, run)
    known = KINDS.get(found.kind)
    pool = {} if known is not None and known.pool == found.pool else {"pool": found.pool}
    return {"kind": found.kind, "spec": found.spec, "priority": found.priority, "labels": found.labels, **pool}


def _named(schedule: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with a name that differs from run to run, where its kind makes something and none is given."""
    known = KINDS.get(kind)
    return {"name": f"{schedule}-{{time}}", **spec} if known is not None and known.makes is not None else spec


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with the fields of `new`, object by object; null takes a field away, which brings its default back."""
    whole = dict(old)
    for name, value in new.items():
        before = whole.pop(name, None)
        if isinstance(value, dict):
            whole[name] = _merged(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            whole[name] = value
    return whole

"""Schedules as a table and one by one."""

from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo

from rich.console import RenderableType
from rich.text import Text

from services.cli.ui.listing import Listing
from services.cli.ui.result import facts
from services.cli.ui.text import ago, ahead, safe
from shared.contracts.instants import zone_named
from shared.contracts.schedules import ScheduleView
from shared.errors import UserError

_OVERLAP = {"skip": "left out while its last run goes on", "allow": "also while its last run goes on"}


def schedules_table(found: Sequence[ScheduleView]) -> RenderableType:
    """Schedules: when they run next, and what went wrong last."""
    trouble = ["trouble"] if any(schedule.last_error for schedule in found) else []
    columns = ("schedule", "when", "zone", "kind", "next", "last", *trouble)
    table = Listing(*columns, least=("zone", "last", "kind", "trouble"))
    for schedule in found:
        table.add_row(
            Text(safe(schedule.name), style="name"),
            Text(safe(schedule.cron), no_wrap=True),
            Text(safe(schedule.timezone), style="quiet"),
            safe(schedule.kind),
            _next(schedule),
            Text(_last(schedule), style="quiet"),
            *(Text(safe(schedule.last_error or ""), style="bad") for _ in trouble),
        )
    return table if found else Text("There are no schedules: `faultline schedules create` makes one.", style="quiet")


def schedule_view(schedule: ScheduleView, tag: str | None = None) -> RenderableType:
    """One schedule with its next times, in its own zone; `tag`: what `--if-match` takes."""
    zone = _zone(schedule.timezone)
    times = [f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" for moment in schedule.next_times]
    rows: list[tuple[str, RenderableType]] = [
        ("schedule", Text(safe(schedule.name), style="name")),
        ("id", str(schedule.id)),
        ("when", f"{safe(schedule.cron)} in {safe(schedule.timezone)}, {_OVERLAP[schedule.overlap]}"),
        ("next", _next(schedule)),
        *(("", Text(words, style="quiet")) for words in times),
        ("last", _last(schedule)),
    ]
    if schedule.last_error:
        rows.append(("trouble", Text(safe(schedule.last_error), style="bad")))
    rows.append(("kind", safe(schedule.kind)))
    rows += [("spec" if not number else "", words) for number, words in enumerate(_spec(schedule.spec))]
    rows.append(("pool", f"{safe(schedule.pool or 'that of the kind')}, priority {schedule.priority}"))
    if schedule.labels:
        rows.append(("labels", ", ".join(f"{safe(name)}={safe(value)}" for name, value in schedule.labels.items())))
    if tag is not None:
        rows.append(("tag", Text(safe(tag), style="quiet")))
    return facts(*rows)


def _next(schedule: ScheduleView) -> Text:
    if not schedule.enabled:
        return Text("paused", style="wait")
    return Text(ahead(schedule.next_times[0]) if schedule.next_times else "–", style="good")


def _last(schedule: ScheduleView) -> str:
    return ago(schedule.last_at) if schedule.last_at else "never"


def _zone(name: str) -> tzinfo:
    """The schedule's zone; UTC on a machine that does not know it."""
    try:
        return zone_named(name)
    except UserError:
        return UTC


def _spec(spec: dict[str, object], prefix: str = "") -> Iterator[str]:
    """Fields as `--set` takes them."""
    for name, value in spec.items():
        if isinstance(value, dict) and value:
            yield from _spec(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{safe(prefix + name)} = {safe(value)}"

"""When digests are due and when quiet hours end, by the clock on somebody's wall.

Nights in which clocks change are those of `shared.runs.schedules`: a time that does not exist is the moment of the
change; one that comes twice is the first of the two. zoneinfo tells the two by `fold`, as PEP 495 has it.
"""

from bisect import bisect_left
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Literal
from zoneinfo import ZoneInfo

from shared.contracts.instants import zone_named

Every = Literal["hour", "day", "week"]
#: no clock goes back by more than the 3 hours of a station in Antarctica
_HOURS_AROUND = range(-3, 4)


def next_digest(every: Every, at: time, weekday: int, zone: str, after: datetime) -> datetime:
    """The first time of a digest later than `after`, in UTC.

    `hour`: each full hour of the zone's clock, both of them when one comes twice. `day`: at `at`. `week`: at `at` on
    `weekday`, 0 being Monday. Raises `UserError` for a zone that there is not.
    """
    place = zone_named(zone)
    local = after.astimezone(place).replace(tzinfo=None)
    if every == "hour":
        hour = local.replace(minute=0, second=0, microsecond=0, fold=0)
        near = [moment for hours in _HOURS_AROUND for moment in _moments(hour + timedelta(hours=hours), place)]
        return min(moment for moment in near if moment > after)
    days = (local.date() + timedelta(days=number) for number in count())
    wanted = (day for day in days if every == "day" or (day.weekday() - weekday) % 7 == 0)
    times = (_moments(datetime.combine(day, at), place)[0] for day in wanted)
    return next(moment for moment in times if moment > after)


def quiet_until(begin: time, end: time, zone: str, now: datetime) -> datetime | None:
    """When the quiet hours that go on `now` end, in UTC; None if none go on.

    It is quiet while the zone's clock shows `begin` or later, but not yet `end`; over midnight if `begin` is later than
    `end`, never if they are equal. So what the clock shows twice is quiet twice. Raises `UserError` for a zone that
    there is not.
    """
    place = zone_named(zone)

    def quiet(moment: datetime) -> bool:
        shown = moment.astimezone(place).time()
        return begin <= shown < end if begin <= end else not end <= shown < begin

    if not quiet(now):
        return None
    today = now.astimezone(place).date()
    ends = (
        moment
        for number in count()
        for moment in _moments(datetime.combine(today + timedelta(days=number), end), place)
    )
    ended = next(moment for moment in ends if moment > now and not quiet(moment))
    change = _change(now, ended, place)  # clocks that go back may show a time before `begin` again
    return ended if change is None or quiet(change) else change


def _moments(wall: datetime, place: ZoneInfo) -> tuple[datetime, datetime]:
    """When the clock shows `wall` for the first and for the last time; the moment of the change if it never does."""
    first, last = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > last and (change := _change(last, first, place)):
        return change, change
    return first, last


def _change(early: datetime, late: datetime, place: ZoneInfo) -> datetime | None:
    """The first moment after `early`, until `late`, at which the clock has been changed; None if there is none."""
    seconds = range(int(early.timestamp()), int(late.timestamp()) + 1)
    before = early.astimezone(place).utcoffset()
    found = bisect_left(seconds, True, key=lambda second: datetime.fromtimestamp(second, place).utcoffset() != before)
    return datetime.fromtimestamp(seconds[found], UTC) if found < len(seconds) else None

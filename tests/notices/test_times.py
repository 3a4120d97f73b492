"""Digests and quiet hours go by the clock on the wall, also in the nights in which it is changed."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.contracts.instants import zone_named
from shared.errors import UserError
from shared.notices.times import Every, next_digest, quiet_until

BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"
ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
#: the nights of 2026 in which the three clocks are changed
CHANGES = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ]
)
NEAR = st.builds(lambda change, minutes: change + timedelta(minutes=minutes), CHANGES, st.integers(-1500, 1500))
TIMES = st.one_of(st.times(), st.builds(time, st.integers(0, 3), st.sampled_from([0, 15, 30, 45])))
MONDAY, SUNDAY = 0, 6
SECOND = timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def series(every: Every, when: str, weekday: int, zone: str, after: datetime, count: int) -> list[datetime]:
    found = [after]
    for _ in range(count):
        found.append(next_digest(every, time.fromisoformat(when), weekday, zone, found[-1]))
    return found[1:]


@pytest.mark.parametrize(
    ("zone", "when", "after", "expected"),
    [
        (BERLIN, "08:00", "2026-03-27 12:00", ["2026-03-28 07:00", "2026-03-29 06:00", "2026-03-30 06:00"]),
        (BERLIN, "08:00", "2026-10-23 12:00", ["2026-10-24 06:00", "2026-10-25 07:00", "2026-10-26 07:00"]),
        (BERLIN, "02:30", "2026-03-27 12:00", ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]),
        (BERLIN, "02:30", "2026-10-23 12:00", ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]),
        (NEW_YORK, "02:30", "2026-03-06 12:00", ["2026-03-07 07:30", "2026-03-08 07:00", "2026-03-09 06:30"]),
        (NEW_YORK, "01:30", "2026-10-30 12:00", ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"]),
        (LORD_HOWE, "02:15", "2026-10-01 18:00", ["2026-10-02 15:45", "2026-10-03 15:30", "2026-10-04 15:15"]),
        (LORD_HOWE, "01:45", "2026-04-02 18:00", ["2026-04-03 14:45", "2026-04-04 14:45", "2026-04-05 15:15"]),
        (KATHMANDU, "00:00", "2026-05-01 12:00", ["2026-05-01 18:15", "2026-05-02 18:15", "2026-05-03 18:15"]),
    ],
)
def test_a_daily_digest_keeps_its_time_of_the_day(zone: str, when: str, after: str, expected: list[str]) -> None:
    assert series("day", when, MONDAY, zone, at(after), 3) == [at(text) for text in expected]


@pytest.mark.parametrize(
    ("zone", "after", "expected"),
    [
        (BERLIN, "2026-03-28 23:59", ["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 02:00"]),
        (BERLIN, "2026-10-24 23:59", ["2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"]),
        (KATHMANDU, "2026-05-01 12:00", ["2026-05-01 12:15", "2026-05-01 13:15", "2026-05-01 14:15"]),
        # 02:00 does not exist, and 03:00 comes half an hour after the change
        (LORD_HOWE, "2026-10-03 14:00", ["2026-10-03 14:30", "2026-10-03 15:30", "2026-10-03 16:00"]),
        # 01:30 to 02:00 comes twice
        (LORD_HOWE, "2026-04-04 13:30", ["2026-04-04 14:00", "2026-04-04 15:30", "2026-04-04 16:30"]),
    ],
)
def test_an_hourly_digest_comes_at_the_full_hours_of_its_zone(zone: str, after: str, expected: list[str]) -> None:
    assert series("hour", "00:00", MONDAY, zone, at(after), 3) == [at(text) for text in expected]


@pytest.mark.parametrize(
    ("zone", "when", "weekday", "after", "expected"),
    [
        (BERLIN, "07:30", MONDAY, "2026-03-25 12:00", ["2026-03-30 05:30", "2026-04-06 05:30"]),
        (BERLIN, "02:30", SUNDAY, "2026-03-24 12:00", ["2026-03-29 01:00", "2026-04-05 00:30"]),
        (NEW_YORK, "23:00", SUNDAY, "2026-10-26 12:00", ["2026-11-02 04:00", "2026-11-09 04:00"]),
        (LORD_HOWE, "09:00", MONDAY, "2026-10-01 00:00", ["2026-10-04 22:00", "2026-10-11 22:00"]),
    ],
)
def test_a_weekly_digest_comes_on_the_weekday_of_its_zone(
    zone: str, when: str, weekday: int, after: str, expected: list[str]
) -> None:
    assert series("week", when, weekday, zone, at(after), 2) == [at(text) for text in expected]


def test_a_digest_whose_time_is_now_comes_next_time() -> None:
    assert next_digest("day", time(8), MONDAY, BERLIN, at("2026-06-01 06:00")) == at("2026-06-02 06:00")


def test_a_day_that_a_zone_left_out_is_the_moment_of_the_change() -> None:
    friday = 4
    found = next_digest("week", time(12), friday, "Pacific/Apia", at("2011-12-29 00:00"))
    assert found == at("2011-12-30 10:00"), "there was no Friday, 30 December 2011, on Samoa"


@given(ZONES, TIMES, st.one_of(MOMENTS, NEAR))
@example(LORD_HOWE, time(2), datetime(2026, 10, 2, tzinfo=UTC))
def test_daily_digests_go_on_one_on_each_day(zone: str, when: time, after: datetime) -> None:
    found = series("day", when.isoformat(), MONDAY, zone, after, 6)
    dates = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert found[0] > after
    for (one, date), (other, next_date) in pairwise(zip(found, dates, strict=True)):
        assert next_date - date == timedelta(days=1)
        assert timedelta(hours=22.5) <= other - one <= timedelta(hours=25.5)


@given(ZONES, st.one_of(MOMENTS, NEAR))
@example(NEW_YORK, datetime(2026, 11, 1, 5, 30, tzinfo=UTC))
def test_hourly_digests_are_never_far_apart_nor_off_the_hour(zone: str, after: datetime) -> None:
    found = [after, *series("hour", "00:00", MONDAY, zone, after, 5)]
    for one, other in pairwise(found):
        assert timedelta(0) < other - one <= timedelta(minutes=90)
        shown, before = (moment.astimezone(ZoneInfo(zone)) for moment in (other, other - SECOND))
        assert shown.minute == 0 or shown.utcoffset() != before.utcoffset(), (
            "a full hour, or the change that left it out"
        )


@given(ZONES, TIMES, st.integers(0, 6), st.one_of(MOMENTS, NEAR))
def test_weekly_digests_come_once_a_week(zone: str, when: time, weekday: int, after: datetime) -> None:
    found = series("week", when.isoformat(), weekday, zone, after, 3)
    assert after < found[0] <= after + timedelta(days=7, hours=1)
    for moment in found:
        assert moment.astimezone(ZoneInfo(zone)).weekday() == weekday
    for one, other in pairwise(found):
        assert abs(other - one - timedelta(days=7)) <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "hours", "now", "expected"),
    [
        (BERLIN, "22:00-07:00", "2026-03-28 22:30", "2026-03-29 05:00"),
        (BERLIN, "22:00-07:00", "2026-10-24 22:30", "2026-10-25 06:00"),
        (BERLIN, "22:00-07:00", "2026-10-24 19:59", None),
        (BERLIN, "22:00-07:00", "2026-10-24 20:00", "2026-10-25 06:00"),
        (BERLIN, "22:00-07:00", "2026-10-25 06:00", None),
        (BERLIN, "12:00-13:00", "2026-06-01 10:30", "2026-06-01 11:00"),
        (BERLIN, "12:00-12:00", "2026-06-01 10:00", None),
        (BERLIN, "22:00-00:00", "2026-06-01 20:00", "2026-06-01 22:00"),
        (BERLIN, "00:00-06:00", "2026-06-01 21:59", None),
        # an end that the clock never shows: the change
        (BERLIN, "22:00-02:30", "2026-03-29 00:30", "2026-03-29 01:00"),
        # an end that it shows twice: quiet before each
        (BERLIN, "22:00-02:30", "2026-10-25 00:10", "2026-10-25 00:30"),
        (BERLIN, "22:00-02:30", "2026-10-25 00:40", None),
        (BERLIN, "22:00-02:30", "2026-10-25 01:10", "2026-10-25 01:30"),
        # clocks go back behind the beginning
        (BERLIN, "02:30-06:00", "2026-10-25 00:40", "2026-10-25 01:00"),
        (BERLIN, "02:30-06:00", "2026-10-25 01:40", "2026-10-25 05:00"),
        # the only hour that is not quiet is left out
        (BERLIN, "03:00-02:00", "2026-03-28 12:00", "2026-03-30 00:00"),
        (NEW_YORK, "21:00-08:00", "2026-03-08 03:00", "2026-03-08 12:00"),
        (NEW_YORK, "21:00-08:00", "2026-11-01 03:00", "2026-11-01 13:00"),
        (LORD_HOWE, "23:00-06:00", "2026-10-03 13:00", "2026-10-03 19:00"),
        (LORD_HOWE, "23:00-06:00", "2026-04-04 13:00", "2026-04-04 19:30"),
        (LORD_HOWE, "01:45-02:00", "2026-04-04 14:50", "2026-04-04 15:00"),
        (KATHMANDU, "22:00-07:00", "2026-05-01 17:00", "2026-05-02 01:15"),
    ],
)
def test_quiet_hours_end_by_the_clock(zone: str, hours: str, now: str, expected: str | None) -> None:
    begin, end = (time.fromisoformat(text) for text in hours.split("-"))
    assert quiet_until(begin, end, zone, at(now)) == (at(expected) if expected else None)


@given(ZONES, TIMES, TIMES, st.one_of(MOMENTS, NEAR), st.floats(0, 1))
def test_it_is_quiet_until_quiet_hours_end_and_not_then(
    zone: str, begin: time, end: time, now: datetime, part: float
) -> None:
    found = quiet_until(begin, end, zone, now)
    assume(found is not None)
    assert found is not None
    assert found > now
    assert quiet_until(begin, end, zone, found) is None
    between = now + (found - now) * part
    for moment in (between, found - timedelta(microseconds=1)):
        if now <= moment < found:
            assert quiet_until(begin, end, zone, moment) == found


@given(ZONES, TIMES, TIMES, st.one_of(MOMENTS, NEAR))
def test_it_is_quiet_by_these_hours_or_by_the_others(zone: str, begin: time, end: time, now: datetime) -> None:
    assume(begin != end)
    assert (quiet_until(begin, end, zone, now) is None) != (quiet_until(end, begin, zone, now) is None)


@pytest.mark.parametrize("name", ["Mars/Base", "../../etc/passwd", "Europe", "", "a\0b", "x" * 300])
def test_a_zone_that_there_is_not_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(UserError) as refused:
        zone_named(name)
    assert "Europe/Berlin" in refused.value.remedy

"""Runs by the clock: each time once, in the zone's own time, and never a schedule that stops without a word."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid6 import uuid7

from shared.db.models import Schedule
from shared.db.session import transaction
from shared.errors import UserError
from shared.runs.schedules import fire_due, next_times
from tests.conftest import MakePlatform
from tests.support.platform import Platform

BERLIN = "Europe/Berlin"


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


def add(platform: Platform, next_at: datetime, **values: Any) -> UUID:
    defaults: dict[str, Any] = {
        "id": uuid7(),
        "project_id": platform.caller.project_id,
        "created_by": platform.caller.principal_id,
        "name": f"s{uuid7()}",
        "cron": "0 * * * *",
        "timezone": "UTC",
        "overlap": "allow",
        "kind": "test.inline",
        "spec": {"journal": str(platform.journal())},
        "spec_version": 1,
        "priority": 3,
        "labels": {"made": "nightly"},
        "next_at": next_at,
    }
    with transaction(platform.engine) as session:
        schedule = Schedule(**(defaults | values))
        session.add(schedule)
    return schedule.id


def row(platform: Platform, schedule: UUID) -> dict[str, Any]:
    return platform.rows("SELECT * FROM schedules WHERE id = :id", id=schedule)[0]


def runs(platform: Platform) -> list[dict[str, Any]]:
    return platform.rows("SELECT * FROM runs ORDER BY id")


def local(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_a_fixed_time_comes_once_on_the_days_when_clocks_change() -> None:
    spring = next_times("30 2 * * *", BERLIN, local(2026, 3, 28, 12), 2)
    assert spring == [local(2026, 3, 29, 1, 0), local(2026, 3, 30, 0, 30)], "02:30 does not exist; 03:00 is the change"
    autumn = next_times("30 2 * * *", BERLIN, local(2026, 10, 24, 12), 2)
    assert autumn == [local(2026, 10, 25, 0, 30), local(2026, 10, 26, 1, 30)], "02:30 is there twice"


def test_every_half_hour_is_every_half_hour_when_clocks_go_back() -> None:
    found = next_times("*/30 * * * *", BERLIN, local(2026, 10, 24, 23, 45), 6)
    assert found == [local(2026, 10, 25) + timedelta(minutes=30 * i) for i in range(6)]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("* * * *", "UTC"),
        ("* * * * * *", "UTC"),
        ("61 * * * *", "UTC"),
        ("0 0 30 2 *", "UTC"),
        ("", "UTC"),
        ("0 0 * * *", "Mars/Base"),
        ("0 0 * * *", "../../etc/passwd"),
        ("0 0 * * *", "Europe"),
    ],
)
def test_what_no_clock_can_show_is_refused_with_a_remedy(cron: str, zone: str) -> None:
    with pytest.raises(UserError) as refused:
        next_times(cron, zone, datetime.now(UTC), 1)
    assert refused.value.remedy


def test_a_due_time_makes_a_run_of_the_schedule_and_the_next_one_comes(platform: Platform) -> None:
    schedule = add(platform, local(2026, 5, 1, 10))
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 9, 59)) == 0
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 10)) == 1
    (run,) = runs(platform)
    assert (run["schedule_id"], run["priority"], run["labels"]) == (schedule, 3, {"made": "nightly"})
    after = row(platform, schedule)
    assert (after["last_at"], after["next_at"]) == (local(2026, 5, 1, 10), local(2026, 5, 1, 11))


def test_times_that_were_missed_are_one_run(platform: Platform) -> None:
    schedule = add(platform, local(2026, 5, 1, 10))
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 2, 16, 20)) == 1
    assert row(platform, schedule)["next_at"] == local(2026, 5, 2, 17)


def test_many_reconcilers_submit_each_time_once(platform: Platform) -> None:
    for minute in range(5):
        add(platform, local(2026, 5, 1, 10, minute))
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for hour in range(10, 14):
            fire_due(platform.engine, platform.settings, local(2026, 5, 1, hour, 30))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    keys = platform.rows("SELECT key FROM idempotency_keys")
    assert len(runs(platform)) == len(keys) == 5 * 4


def test_while_its_last_run_goes_on_a_time_is_left_out_and_that_is_told(platform: Platform) -> None:
    schedule = add(platform, local(2026, 5, 1, 10), overlap="skip")
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 10)) == 1
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 11)) == 0
    assert "has not ended" in row(platform, schedule)["last_error"]
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE runs SET state = 'succeeded', finished_at = now()"))
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 12)) == 1
    assert row(platform, schedule)["last_error"] is None


def test_a_time_whose_submit_fails_is_told_and_the_others_go_on(platform: Platform) -> None:
    spec = {"name": "d-{time}", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}
    first = add(platform, local(2026, 5, 1, 10), kind="dataset.generate", spec=spec)
    second = add(platform, local(2026, 5, 1, 10), kind="dataset.generate", spec=spec)
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 10)) == 1
    errors = [row(platform, schedule)["last_error"] for schedule in (first, second)]
    assert sorted(error or "" for error in errors) == ["", "There is a dataset named 'd-20260501-1000' already."]
    assert len(runs(platform)) == 1
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 11)) == 1


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM memberships",
        "UPDATE memberships SET role = 'viewer'",
        "UPDATE principals SET disabled_at = now()",
        "UPDATE projects SET deleted_at = now()",
    ],
)
def test_a_schedule_whose_maker_may_no_longer_submit_stops_with_the_reason(platform: Platform, change: str) -> None:
    schedule = add(platform, local(2026, 5, 1, 10))
    with transaction(platform.engine) as session:
        session.execute(text(change))
    assert fire_due(platform.engine, platform.settings, local(2026, 5, 1, 10)) == 0
    stopped = row(platform, schedule)
    assert (stopped["enabled"], stopped["next_at"]) == (False, None)
    assert "may not submit" in stopped["last_error"]
    assert runs(platform) == []

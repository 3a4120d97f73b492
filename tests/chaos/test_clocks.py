"""A wall clock that is wrong changes nothing: leases are of the database's clock, waits of the monotonic one."""

import pytest

from tests.conftest import MakePlatform


@pytest.mark.parametrize("shift_s", [-3600, 3600])
def test_a_worker_with_a_wrong_clock_keeps_its_lease_and_its_limits(make_platform: MakePlatform, shift_s: int) -> None:
    platform = make_platform(SHIFT_S=str(shift_s))
    platform.start_core()
    platform.start_worker("wrong", "tests.support.shifted_worker")
    lease_s = platform.settings.lease_s
    run = platform.submit("test.supervised", steps=20, step_s=lease_s / 10)
    row = platform.finished(run, 90)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 1, 0)
    assert row["started_at"] <= row["finished_at"]
    limited = platform.finished(platform.submit("test.brief", journal="limited", steps=100, step_s=0.1), 90)
    assert limited["envelope"]["error"]["type"] == "TimeLimit"
    assert '"cleaned up"' in platform.log("wrong") or platform.rows("SELECT 1 FROM outbox") == []


def test_a_run_of_a_lost_worker_with_a_wrong_clock_is_taken_over(make_platform: MakePlatform) -> None:
    platform = make_platform(SHIFT_S="3600")
    platform.start_core()
    platform.start_worker("wrong", "tests.support.shifted_worker")
    run = platform.submit("test.supervised", steps=10, step_s=0.2)
    platform.wait_for_line("step 2", timeout_s=60)
    platform.kill("wrong")
    platform.start_worker("w2")
    row = platform.finished(run, 90)
    assert (row["state"], row["attempt"], row["worker"]) == ("succeeded", 2, "w2")

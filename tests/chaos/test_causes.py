"""Every run that fails says why: in one word, in a sentence, with a remedy."""

from typing import Any

import pytest

from shared.contracts.causes import Cause
from tests.conftest import MakePlatform
from tests.support.platform import Platform


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    platform = make_platform(FAULTLINE_MAX_CRASHES="1", FAULTLINE_DEPENDENCY_AWAY_S="1", FAULTLINE_HEARTBEAT_S="0.3")
    platform.start_core()
    platform.start_worker("w1", FAULTLINE_WORKER_SLOTS="2")
    return platform


def assert_says(row: dict[str, Any], state: str, cause: Cause, words: str) -> None:
    error = row["envelope"]["error"]
    assert (row["state"], row["cause"], error["cause"]) == (state, cause, cause), error
    assert words in error["message"]
    assert error["remedy"]
    assert row["error_signature"]


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_what_a_body_raises_decides_the_cause(platform: Platform, kind: str) -> None:
    memory = platform.submit(kind, "a", steps=3, fail_at=1, raises="memory")
    large = platform.submit(kind, "b", steps=3, fail_at=1, raises="large")
    given = platform.submit(kind, "c", steps=3, fail_at=1)
    bug = platform.submit(kind, "d", steps=3, fail_at=1, fail_with_nul=True)
    away = platform.submit(kind, "e", steps=3, fail_at=1, raises="away")
    assert_says(platform.finished(memory), "failed", Cause.OUT_OF_MEMORY, "more memory than its worker has")
    assert_says(platform.finished(large), "failed", Cause.TOO_LARGE, "larger than this server accepts")
    assert_says(platform.finished(given), "failed", Cause.BAD_INPUT, "told to fail")
    assert_says(platform.finished(bug), "failed", Cause.BUG, "unforeseen ValueError")
    row = platform.finished(away)
    assert_says(row, "failed", Cause.DEPENDENCY_DOWN, "stayed away")
    assert row["crashes"] == 0, "an outage is no crash"
    assert platform.run(given)["envelope"]["error"]["where"] == "tests.support.bodies:count"


def test_a_process_that_dies_is_named_by_how_it_died(platform: Platform) -> None:
    segv = platform.submit("test.supervised", "a", steps=3, fail_at=1, raises="segv")
    left = platform.submit("test.supervised", "b", steps=3, fail_at=1, raises="exit")
    slow = platform.submit("test.brief", "c", steps=100, step_s=0.1, heeds_stop=False)
    assert_says(platform.finished(segv), "quarantined", Cause.KILLED_BY_SIGNAL, "SIGSEGV (signal 11)")
    assert_says(platform.finished(left), "quarantined", Cause.BUG, "SystemExit: the body has had enough")
    assert_says(platform.finished(slow), "failed", Cause.TIME_LIMIT, "longer than its kind may")


def test_a_worker_that_is_lost_is_named(platform: Platform) -> None:
    run = platform.submit("test.supervised", steps=100, step_s=0.2)
    platform.wait_for_line("step 0")
    platform.kill("w1")
    assert_says(platform.finished(run), "quarantined", Cause.LOST_NODE, "its worker 'w1' was lost")


def test_a_dependency_that_comes_back_in_time_costs_no_crash(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_MAX_CRASHES="1")
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=3, fail_at=1, raises="away", away_times=2)
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 3, 0)
    assert row["away_s"] == 0, "a checkpoint says that the outage is over"

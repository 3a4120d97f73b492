"""Bodies that eat the memory, leave children behind or listen to no signal: the cause is named, nobody is left."""

import signal
from uuid import UUID

import psutil
import pytest

from shared.db.session import transaction
from shared.runs.cancel import request_cancel
from shared.runs.submit import Request, submit
from tests.conftest import MakePlatform
from tests.support.platform import Platform, until
from tests.support.processes import pid_alive
from tests.support.wild import WildSpec

BOTH_STARTS = pytest.mark.parametrize("trainer_start", ["spawn", "forkserver"])


def run_wild(platform: Platform, deed: str) -> UUID:
    with transaction(platform.engine) as session:
        spec = WildSpec.model_validate({"journal": str(platform.journal()), "deed": deed})
        return submit(session, platform.settings, platform.caller, Request("test.wild", spec))


def noted(platform: Platform) -> list[int]:
    """Every process that the body noted."""
    return [int(line.split("pid=")[1]) for line in platform.journal().read_text().splitlines()]


def gone(pids: list[int]) -> bool:
    return not any(pid_alive(pid) for pid in pids)


def started(platform: Platform, trainer_start: str, deed: str, processes: int) -> UUID:
    platform.start_core()
    platform.start_worker("w1", FAULTLINE_TRAINER_START=trainer_start)
    run = run_wild(platform, deed)
    platform.wait_for_line("start", timeout_s=60)
    until(lambda: len(noted(platform)) == processes, what="the body does not start its children")
    return run


@BOTH_STARTS
def test_a_body_that_asks_for_too_much_memory_fails_and_says_so(
    make_platform: MakePlatform, trainer_start: str
) -> None:
    platform = make_platform()
    run = started(platform, trainer_start, "hog", 1)
    row = platform.finished(run)
    assert (row["state"], row["envelope"]["error"]["type"]) == ("failed", "OutOfMemory")
    assert gone(noted(platform))


@BOTH_STARTS
def test_children_of_a_body_end_with_it(make_platform: MakePlatform, trainer_start: str) -> None:
    platform = make_platform()
    run = started(platform, trainer_start, "fork", 4)
    platform.journal().with_name("journal.txt.go").touch()
    assert platform.finished(run)["state"] == "succeeded"
    until(lambda: gone(noted(platform)), what="a child of the body lives on")


@BOTH_STARTS
@pytest.mark.parametrize("victim", ["trainer", "pool child", "worker"])
def test_children_of_a_body_end_with_whoever_is_killed_above_them(
    make_platform: MakePlatform, trainer_start: str, victim: str
) -> None:
    platform = make_platform()
    started(platform, trainer_start, "fork", 4)
    above = {"worker": psutil.Process(platform.processes["w1"].pid), "trainer": psutil.Process(noted(platform)[0])}
    above["pool child"] = above["worker"].children()[0]
    pids = noted(platform)
    above[victim].kill()
    until(lambda: gone(pids), what="a child of the body lives on")


@BOTH_STARTS
def test_a_body_that_ignores_signals_ends_with_its_cancel_and_with_its_worker(
    make_platform: MakePlatform, trainer_start: str
) -> None:
    platform = make_platform(FAULTLINE_CHECKPOINT_GRACE_S="1")
    run = started(platform, trainer_start, "deaf", 1)
    [pid] = noted(platform)
    with transaction(platform.engine) as session:
        request_cancel(session, run)
    assert platform.finished(run)["state"] == "cancelled"
    until(lambda: gone([pid]), what="the body outlives its cancel")
    second = run_wild(platform, "deaf")
    until(lambda: len(noted(platform)) == 2, what="the worker takes nothing more")
    platform.kill("w1", signal.SIGTERM)
    assert not platform.trainers()
    assert platform.run(second)["state"] == "queued"

"""The promises of the spine, with real processes: nothing lost, nothing doubled, nobody left behind."""

import signal
import time
from collections import Counter
from uuid import UUID

import psutil
import pytest
from sqlalchemy import text

from shared.db.session import transaction
from shared.queue.app import Sender
from shared.runs.cancel import request_cancel
from shared.runs.dispatch import take_all
from tests.conftest import MakePlatform
from tests.support.platform import Platform, until
from tests.support.processes import alive

STEPS = 12
BOTH_STARTS = pytest.mark.parametrize("trainer_start", ["spawn", "forkserver"])


def steps_done(platform: Platform, journal: str = "journal") -> list[int]:
    lines = platform.journal(journal).read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("step ")]


def assert_ended_once(platform: Platform, run_id: object, steps: int = STEPS) -> None:
    """Succeeded, with one result, every step counted, at most the step under way repeated after each loss."""
    lines = platform.journal().read_text().splitlines()
    assert Counter(lines)["end"] == 1, lines
    assert sorted(set(steps_done(platform))) == list(range(steps))
    artifacts = platform.rows("SELECT name FROM artifacts WHERE run_id = :id AND role = 'artifact'", id=run_id)
    assert artifacts == [{"name": "count.txt"}]


def trainer_of(platform: Platform) -> psutil.Process:
    """The process that the body noted last."""
    starts = [line for line in platform.journal().read_text().splitlines() if line.startswith("start")]
    return psutil.Process(int(starts[-1].split("pid=")[1].split()[0]))


def test_a_message_delivered_200_times_to_3_workers_runs_once(make_platform: MakePlatform) -> None:
    platform = make_platform()
    for name in ("w1", "w2", "w3"):
        platform.start_worker(name)
    run = platform.submit("test.inline", steps=3, step_s=0.05)
    assert take_all(platform.engine) == [("test.inline", run, 1)]
    sender = Sender(platform.settings)
    for _ in range(200):
        sender.run("test.inline", "test", run, 1, None)
    row = platform.finished(run)
    until(lambda: sender.depth("test") == 0, what="the repeats are not consumed")
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert steps_done(platform) == [0, 1, 2]
    assert_ended_once(platform, run, steps=3)
    assert platform.states(run) == ["queued", "dispatched", "running", "succeeded"]


@BOTH_STARTS
def test_a_killed_trainer_is_followed_by_one_that_resumes(make_platform: MakePlatform, trainer_start: str) -> None:
    platform = make_platform(FAULTLINE_TRAINER_START=trainer_start)
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=STEPS, step_s=0.2)
    platform.wait_for_line("step 3")
    until(lambda: platform.rows("SELECT 1 FROM artifacts WHERE role = 'checkpoint' AND step >= 3"))
    trainer_of(platform).kill()
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 2, 1)
    assert row["envelope"]["result"]["began_at"] >= 3
    assert_ended_once(platform, run)


@BOTH_STARTS
def test_a_killed_worker_takes_its_trainer_along_and_another_resumes(
    make_platform: MakePlatform, trainer_start: str
) -> None:
    platform = make_platform(FAULTLINE_TRAINER_START=trainer_start)
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=STEPS, step_s=0.2)
    platform.wait_for_line("step 3")
    until(lambda: platform.rows("SELECT 1 FROM artifacts WHERE role = 'checkpoint' AND step >= 3"))
    trainer = trainer_of(platform)
    platform.kill("w1")
    until(lambda: not alive(trainer), 5, "the trainer lives on")
    until(lambda: not platform.trainers(), 5, "a child of the worker lives on")
    platform.start_worker("w2")
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["worker"]) == ("succeeded", 2, "w2")
    assert row["envelope"]["result"]["began_at"] >= 3
    assert_ended_once(platform, run)


def test_a_killed_dispatcher_loses_and_doubles_nothing(make_platform: MakePlatform) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    runs = [platform.submit("test.inline", journal=f"j{index}", steps=1) for index in range(30)]
    for _kill in range(3):
        until(lambda: platform.rows("SELECT 1 FROM runs WHERE state <> 'queued'"))
        platform.kill("dispatcher")
        platform.start("dispatcher", "services.api.dispatcher")
    for index, run in enumerate(runs):
        row = platform.finished(run)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)
        assert steps_done(platform, f"j{index}") == [0]


@BOTH_STARTS
def test_after_the_death_of_all_processes_a_training_resumes(make_platform: MakePlatform, trainer_start: str) -> None:
    platform = make_platform(FAULTLINE_TRAINER_START=trainer_start)
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=STEPS, step_s=0.2)
    platform.wait_for_line("step 3")
    until(lambda: platform.rows("SELECT 1 FROM artifacts WHERE role = 'checkpoint' AND step >= 3"))
    for name in ("w1", "dispatcher", "reconciler"):
        platform.kill(name)
    until(lambda: not platform.trainers(), 5, "somebody lives on")
    platform.start_core()
    platform.start_worker("w1")
    row = platform.finished(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    assert row["envelope"]["result"]["began_at"] >= 3
    assert_ended_once(platform, run)


@BOTH_STARTS
def test_a_worker_told_to_end_hands_its_run_over_at_a_checkpoint(
    make_platform: MakePlatform, trainer_start: str
) -> None:
    platform = make_platform(FAULTLINE_TRAINER_START=trainer_start)
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=STEPS, step_s=0.2)
    platform.wait_for_line("step 3")
    began_s = time.monotonic()
    platform.kill("w1", signal.SIGTERM)
    assert time.monotonic() - began_s < platform.settings.checkpoint_grace_s
    assert not platform.trainers()
    assert platform.run(run)["state"] == "queued"
    assert platform.rows("SELECT 1 FROM workers") == []
    platform.start_worker("w2")
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"], row["worker"]) == ("succeeded", 2, 0, "w2")
    assert steps_done(platform) == list(range(STEPS)), "nothing is done twice after an orderly hand-over"
    assert "preempted" in platform.states(run)
    assert_ended_once(platform, run)


def test_a_reaped_worker_that_wakes_up_cannot_write(make_platform: MakePlatform) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=STEPS, step_s=0.2)
    platform.wait_for_line("step 2")
    frozen = [process for process in platform.trainers() if process.pid != trainer_of(platform).pid]
    for process in frozen:
        process.suspend()
    until(lambda: platform.run(run)["attempt"] == 2, 15, "the lease does not run out")
    platform.start_worker("w2")
    platform.wait_for_line("start", timeout_s=15)
    before = platform.rows("SELECT count(*) AS n FROM run_events WHERE run_id = :id AND attempt = 1", id=run)
    for process in frozen:
        process.resume()
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["worker"]) == ("succeeded", 2, "w2")
    after = platform.rows("SELECT count(*) AS n FROM run_events WHERE run_id = :id AND attempt = 1", id=run)
    assert after[0]["n"] <= before[0]["n"], "events of the lost attempt are not added after it was lost"
    assert [line["attempt"] for line in platform.rows("SELECT attempt FROM artifacts WHERE role = 'artifact'")] == [2]


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_running_run_is_cancelled_within_ten_seconds(make_platform: MakePlatform, kind: str) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit(kind, steps=200, step_s=0.1)
    platform.wait_for_line("step 2")
    cancel(platform, run)
    row = platform.finished(run, 10)
    assert row["state"] == "cancelled"
    assert row["envelope"]["error"]["type"] == "Cancelled"


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_body_that_does_not_listen_is_killed_within_ten_seconds(make_platform: MakePlatform, kind: str) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit(kind, steps=200, step_s=0.1, heeds_stop=False)
    platform.wait_for_line("step 2")
    trainer = trainer_of(platform)
    cancel(platform, run)
    assert platform.finished(run, 10)["state"] == "cancelled"
    until(lambda: not alive(trainer), 5, "the body lives on")
    second = platform.submit("test.inline", journal="second", steps=1)
    assert platform.finished(second)["state"] == "succeeded", "the worker goes on"


def test_a_queued_run_is_cancelled_at_once(make_platform: MakePlatform) -> None:
    platform = make_platform()
    run = platform.submit("test.inline", steps=1)
    cancel(platform, run)
    row = platform.run(run)
    assert row["state"] == "cancelled"
    assert row["envelope"]["error"]["type"] == "Cancelled"


def test_a_run_that_always_crashes_is_quarantined_and_the_queue_moves(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_MAX_CRASHES="2")
    platform.start_core()
    platform.start_worker("w1")
    poison = platform.submit("test.supervised", journal="poison", steps=3, crash_at=1, crashes=99)
    healthy = platform.submit("test.supervised", journal="healthy", steps=3)
    assert platform.finished(healthy)["state"] == "succeeded"
    row = platform.finished(poison)
    assert (row["state"], row["attempt"]) == ("quarantined", 2)
    assert "signal 9" in row["envelope"]["error"]["message"]


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_an_error_that_no_database_takes_is_told_all_the_same(make_platform: MakePlatform, kind: str) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    row = platform.finished(platform.submit(kind, steps=3, fail_at=1, fail_with_nul=True))
    assert (row["state"], row["attempt"]) == ("failed", 1)
    assert "a\\x00b" in row["envelope"]["error"]["message"]


def test_what_a_trainer_said_counts_although_its_fork_server_died(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_TRAINER_START="forkserver")
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=5, step_s=0.2)
    platform.wait_for_line("step 1")
    servers = [process for process in platform.trainers() if "shared.queue.forkserver" in process.cmdline()]
    trainer = trainer_of(platform)
    [server] = [process for process in servers if process.pid != trainer.pid]
    server.kill()
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 1, 0)
    second = platform.submit("test.supervised", journal="second", steps=1)
    assert platform.finished(second)["state"] == "succeeded", "a new fork server is made"


def test_a_silent_database_does_not_let_a_body_outlive_its_lease(make_platform: MakePlatform) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    platform.submit("test.supervised", steps=200, step_s=0.2)
    platform.wait_for_line("step 1")
    trainer = trainer_of(platform)
    with transaction(platform.engine) as session:
        session.execute(text("LOCK TABLE run_events IN ACCESS EXCLUSIVE MODE"))
        until(lambda: not alive(trainer), platform.settings.lease_s + 0.5, "the body outlives its lease")
        assert not alive(trainer)


def test_a_run_beyond_its_time_limit_fails_and_says_so(make_platform: MakePlatform) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.brief", steps=100, step_s=0.1, heeds_stop=False)
    row = platform.finished(run)
    assert (row["state"], row["envelope"]["error"]["type"]) == ("failed", "TimeLimit")


def cancel(platform: Platform, run_id: UUID) -> None:
    with transaction(platform.engine) as session:
        request_cancel(session, run_id)

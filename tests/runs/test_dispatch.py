"""Between the dispatcher's message and its commit."""

import threading
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.artifacts import Stored
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import Retryable
from shared.queue.runtime import make_runtime
from shared.runs import sync
from shared.runs.body import Put
from shared.runs.cancel import request_cancel
from shared.runs.dispatch import Dispatcher, dispatch_once
from shared.runs.reaper import reap_once
from tests.conftest import MakePlatform
from tests.support.platform import Platform, until


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    platform = make_platform()
    add_worker(platform, slots=2)
    return platform


def add_worker(platform: Platform, slots: int) -> None:
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO workers (name, pools, kinds, slots, host, pid, version) "
            f"VALUES ('w', ARRAY['test'], ARRAY['test.inline'], {slots}, 'h', 1, '0')"
        )


@pytest.mark.parametrize("the_dispatcher", ["commits", "dies"])
def test_a_message_faster_than_the_commit_is_not_thrown_away(platform: Platform, the_dispatcher: str) -> None:
    run = platform.submit("test.inline")
    claimed: list[object] = []

    def claim() -> None:
        with transaction(platform.engine) as session:
            claimed.append(sync.claim(session, run, 1, "w", 30))

    worker = threading.Thread(target=claim)
    with Session(platform.engine) as session:
        sync.change(session, run, RunState.DISPATCHED, attempt=1)
        worker.start()
        until(lambda: platform.rows("SELECT 1 FROM pg_locks WHERE NOT granted"), what="the claim does not wait")
        if the_dispatcher == "commits":
            session.commit()
    worker.join(10)
    assert claimed[0] is not None
    assert platform.run(run)["state"] == "running"


def test_no_more_is_sent_than_slots_and_lead_and_the_urgent_goes_first(platform: Platform) -> None:
    runs = [platform.submit("test.inline") for _ in range(6)]
    urgent = platform.submit("test.inline")
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(f"UPDATE runs SET priority = 5 WHERE id = '{urgent}'")
    sent: list[UUID] = []
    dispatch_once(platform.engine, platform.settings, lambda _kind, _queue, run, _attempt, _trace: sent.append(run))
    assert sent == [urgent, *runs[:2]], "two slots and a lead of one"
    assert dispatch_once(platform.engine, platform.settings, lambda *_message: None) == 0


def test_while_the_broker_is_away_runs_stay_queued(platform: Platform) -> None:
    run = platform.submit("test.inline")

    def refuse(*_message: object) -> None:
        raise Retryable("the broker is away")

    assert dispatch_once(platform.engine, platform.settings, refuse) == 0
    assert platform.run(run)["state"] == "queued"
    assert platform.states(run) == ["queued"]


def test_a_kind_that_no_worker_of_the_pool_has_a_body_for_waits_as_a_row(platform: Platform) -> None:
    run = platform.submit("test.supervised")
    assert dispatch_once(platform.engine, platform.settings, lambda *_message: None) == 0
    assert platform.states(run) == ["queued"]


def test_a_cancel_that_meets_a_requeue_ends_the_run(platform: Platform) -> None:
    run = platform.submit("test.inline")
    with transaction(platform.engine) as session:
        sync.change(session, run, RunState.DISPATCHED, attempt=1)
        sync.claim(session, run, 1, "w", 30)
    with transaction(platform.engine) as mine:
        assert mine.get_one(Run, run).state == "running"
        with transaction(platform.engine) as other:
            sync.preempt(other, run, 1)
        request_cancel(mine, run)
    assert platform.run(run)["state"] == "cancelled"


def test_files_of_a_lost_attempt_are_not_recorded_not_even_its_log(platform: Platform) -> None:
    run = platform.submit("test.inline")
    put = Put("000000.jsonl", "log", Stored("k", 1, "d"), "application/x-ndjson")
    with transaction(platform.engine) as session:
        sync.change(session, run, RunState.DISPATCHED, attempt=1)
        sync.claim(session, run, 1, "w", 30)
        assert sync.add_files(session, run, 1, [put])
        sync.preempt(session, run, 1)
        assert not sync.add_files(session, run, 1, [put])


def test_a_worker_that_freezes_in_a_transaction_does_not_keep_its_run_beyond_the_lease(platform: Platform) -> None:
    run = platform.submit("test.inline")
    with transaction(platform.engine) as session:
        sync.change(session, run, RunState.DISPATCHED, attempt=1)
        sync.claim(session, run, 1, "w", platform.settings.lease_s)
    runtime = make_runtime(platform.settings, "test", None)
    frozen = Session(runtime.engine)
    frozen.begin()
    assert sync.renew(frozen, run, 1, platform.settings.lease_s)
    wait_s = platform.settings.lease_s + platform.settings.reaper_interval_s
    until(lambda: reap_once(platform.engine, platform.settings, lambda _pool: 0), wait_s, "its row stays locked")
    assert (platform.run(run)["state"], platform.run(run)["attempt"]) == ("queued", 2)
    with pytest.raises(OperationalError):
        frozen.execute(text("SELECT 1"))
    frozen.invalidate()
    runtime.close()


def test_without_a_live_worker_nothing_is_sent(make_platform: MakePlatform) -> None:
    platform = make_platform()
    platform.submit("test.inline")
    assert dispatch_once(platform.engine, platform.settings, lambda *_message: None) == 0


@pytest.mark.parametrize("first", ["queued", "succeeded"])
def test_a_full_pool_whose_slot_frees_is_looked_at_for_what_is_queued_whichever_news_comes_first(
    platform: Platform, first: str
) -> None:
    sent: list[UUID] = []
    dispatcher = Dispatcher(platform.engine, platform.settings, lambda _kind, _pool, run, *_rest: sent.append(run))
    for index in range(3):
        platform.submit("test.inline", journal=str(index))
    assert dispatcher.once() == 3  # two slots and one ahead: the pool is full, and nothing is left
    news = [f"run 1 {state} test" for state in (first, "queued" if first == "succeeded" else "succeeded")]
    assert [dispatcher.concerned([item]) for item in news] == [False, True]

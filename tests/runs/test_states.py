"""No sequence of actors, late, doubled or dead, drives a run along an edge that does not exist."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.envelope import Envelope
from shared.contracts.states import BEGINNINGS, EDGES, TERMINAL, RunState
from shared.contracts.views import MetricPoint, Progress
from shared.db.session import transaction
from shared.errors import Conflict
from shared.runs import sync
from shared.runs.cancel import request_cancel
from shared.runs.dispatch import take_all
from shared.runs.errors import named_cause
from shared.runs.pause import request_pause, resume
from shared.runs.reaper import reap_once
from tests.conftest import MakePlatform
from tests.support.platform import Platform


def test_terminal_states_have_no_way_out_and_every_state_can_be_reached() -> None:
    assert all(not EDGES[state] for state in TERMINAL)
    reached = {target for targets in EDGES.values() for target in targets} | set(BEGINNINGS)
    assert reached == set(RunState)


def test_the_writer_refuses_an_edge_that_does_not_exist(make_platform: MakePlatform) -> None:
    platform = make_platform()
    run = platform.submit("test.inline")
    with transaction(platform.engine) as session, pytest.raises(ValueError, match="no edge"):
        sync.change(session, run, RunState.SUCCEEDED, only_from=[RunState.QUEUED])


def _envelope(run_id: UUID, attempt: int, success: bool) -> Envelope:
    return Envelope(
        success=success,
        run_id=run_id,
        attempt=attempt,
        task_id=f"{run_id}:{attempt}",
        kind="test.inline",
        duration_seconds=0,
        result={} if success else None,
        error=None if success else named_cause("Test", "failed", "none"),
    )


def _refused(platform: Platform, ask: Callable[[Session, UUID], None], run_id: UUID) -> bool:
    try:
        with transaction(platform.engine) as session:
            ask(session, run_id)
    except Conflict:
        return True
    return False


class RunLife(RuleBasedStateMachine):
    """Dispatcher, workers of any past attempt, reaper and owner act in any order on one run."""

    platform: Platform

    attempts: Bundle[int] = Bundle("attempts")

    @initialize(target=attempts)
    def submitted(self) -> int:
        with transaction(self.platform.engine) as session:
            session.execute(text("TRUNCATE runs CASCADE"))
        self.run_id = self.platform.submit("test.inline")
        self.holder: int | None = None
        self.results = 0
        return 1

    def row(self) -> dict[str, Any]:
        return self.platform.run(self.run_id)

    @rule(target=attempts)
    def dispatch(self) -> Any:
        taken = take_all(self.platform.engine)
        return taken[0][2] if taken else multiple()

    @rule(attempt=attempts)
    def claim(self, attempt: int) -> None:
        before = self.row()
        with transaction(self.platform.engine) as session:
            claimed = sync.claim(session, self.run_id, attempt, "w", 30)
        allowed = before["state"] in {"queued", "dispatched"} and before["attempt"] == attempt
        assert (claimed is not None) == allowed
        if claimed:
            self.holder = attempt

    @rule(attempt=attempts, fraction=st.floats(0, 1))
    def tell(self, attempt: int, fraction: float) -> None:
        before = self.row()
        with transaction(self.platform.engine) as session:
            told = sync.renew(session, self.run_id, attempt, 30, Progress(fraction=fraction)) is not None
            points = [MetricPoint(name="x", step=1, value=fraction, attempt=attempt)]
            assert sync.add_metrics(session, self.run_id, attempt, points) == told
        assert told == (self.holder == attempt)
        if told:
            assert self.row()["fraction"] >= before["fraction"]

    @rule(attempt=attempts)
    def renew(self, attempt: int) -> None:
        with transaction(self.platform.engine) as session:
            orders = sync.renew(session, self.run_id, attempt, 30)
        assert (orders is not None) == (self.holder == attempt)

    @rule(attempt=attempts, success=st.booleans())
    def finish(self, attempt: int, success: bool) -> None:
        to = RunState.SUCCEEDED if success else RunState.FAILED
        with transaction(self.platform.engine) as session:
            done = sync.finish(session, self.run_id, to, _envelope(self.run_id, attempt, success), attempt=attempt)
        assert done == (self.holder == attempt)
        if done:
            self.holder = None
            self.results += 1

    @rule(target=attempts, attempt=attempts)
    def preempt(self, attempt: int) -> Any:
        with transaction(self.platform.engine) as session:
            done = sync.preempt(session, self.run_id, attempt)
        assert done == (self.holder == attempt)
        if not done:
            return multiple()
        self.holder = None
        return attempt + 1 if self.row()["state"] == "queued" else multiple()

    @rule(target=attempts)
    def the_lease_runs_out(self) -> Any:
        with transaction(self.platform.engine) as session:
            session.execute(text("UPDATE runs SET lease_expires_at = now() - interval '1 s' WHERE state = 'running'"))
        reap_once(self.platform.engine, self.platform.settings, lambda _queue: 0)
        assert self.row()["state"] != "running"
        lost, self.holder = self.holder, None
        return multiple() if lost is None else lost + 1

    @rule()
    def the_message_is_lost(self) -> None:
        with transaction(self.platform.engine) as session:
            session.execute(text("UPDATE runs SET dispatched_at = now() - interval '1 h' WHERE state = 'dispatched'"))
        before = self.row()
        reap_once(self.platform.engine, self.platform.settings, lambda _queue: 0)
        after = self.row()
        if before["state"] == "dispatched":
            assert (after["state"], after["attempt"]) == ("queued", before["attempt"])

    @rule()
    def ask_to_cancel(self) -> None:
        with transaction(self.platform.engine) as session:
            request_cancel(session, self.run_id)
        row = self.row()
        assert row["state"] in {"running", *TERMINAL}

    @rule()
    def ask_to_pause(self) -> None:
        before = self.row()
        refused = before["state"] in TERMINAL or before["cancel_requested_at"] is not None
        assert _refused(self.platform, request_pause, self.run_id) == refused
        row = self.row()
        assert row["state"] in {"running", "paused"} if not refused else row == before

    @rule(target=attempts)
    def resume(self) -> Any:
        before = self.row()
        assert _refused(self.platform, resume, self.run_id) == (before["state"] in TERMINAL)
        row = self.row()
        assert row["state"] in TERMINAL or row["pause_requested_at"] is None
        assert row["crashes"] == before["crashes"], "a rest is no crash"
        if before["state"] != "paused":
            assert row["state"] == before["state"]
            return multiple()
        assert (row["state"], row["attempt"]) == ("queued", before["attempt"] + 1)
        return int(row["attempt"])

    @rule(target=attempts, attempt=attempts)
    def the_body_stops_to_pause(self, attempt: int) -> Any:
        before = self.row()
        with transaction(self.platform.engine) as session:
            told = sync.requeue(session, self.run_id, attempt=attempt, only_from=[RunState.RUNNING], reason="pause")
        assert told == (self.holder == attempt)
        if not told:
            return multiple()
        self.holder = None
        row = self.row()
        wanted = (
            "cancelled" if before["cancel_requested_at"] else "paused" if before["pause_requested_at"] else "queued"
        )
        assert (row["state"], row["crashes"]) == (wanted, before["crashes"])
        return int(row["attempt"])

    @invariant()
    def history_is_legal(self) -> None:
        states = [RunState(state) for state in self.platform.states(self.run_id)]
        for source, target in pairwise(states):
            assert target in EDGES[source], states
        row = self.row()
        assert states[-1] == row["state"]
        assert (row["envelope"] is not None) == (row["state"] in TERMINAL)
        assert self.results <= 1
        wanted = row["cancel_requested_at"] is None
        assert wanted or row["state"] in {"running", *TERMINAL}, "what is not wanted any more waits for nobody"
        resting = row["pause_requested_at"] is not None
        assert not resting or row["state"] in {"running", "paused", *TERMINAL}, "what is to pause is not queued"
        assert resting or row["state"] != "paused"
        assert (row["lease_expires_at"] is not None) == (row["state"] == "running"), "only a running run holds a slot"
        seqs = [
            event["seq"]
            for event in self.platform.rows(
                "SELECT seq FROM run_events WHERE run_id = :id ORDER BY seq", id=self.run_id
            )
        ]
        assert seqs == list(range(1, row["event_seq"] + 1))


@pytest.fixture
def machine(make_platform: MakePlatform) -> Iterator[type[RunLife]]:
    RunLife.platform = make_platform()
    yield RunLife
    del RunLife.platform


def test_no_order_of_events_reaches_an_illegal_state(machine: type[RunLife]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Parents: they end once, by their policy, with the right counts, whatever is repeated or lost."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.contracts.batches import BatchResult, Policy
from shared.contracts.envelope import Envelope
from shared.contracts.states import RunState
from shared.contracts.views import Progress
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import Conflict
from shared.runs import parents, sync
from shared.runs.again import retry
from shared.runs.cancel import request_cancel
from shared.runs.errors import named_cause
from shared.runs.pause import request_pause, resume
from tests.conftest import MakePlatform
from tests.support.batches import children_of, submit_counting
from tests.support.platform import Platform


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


def batch(platform: Platform, size: int = 3, policy: Policy = "all") -> tuple[UUID, list[UUID]]:
    parent = submit_counting(platform, "test.inline", [{}] * size, policy)
    return parent, [child["id"] for child in children_of(platform, parent)]


def start(platform: Platform, child: UUID) -> None:
    with transaction(platform.engine) as session:
        assert sync.claim(session, child, platform.run(child)["attempt"], "w", 30)


def end(platform: Platform, child: UUID, to: RunState = RunState.SUCCEEDED, *, step: bool = True) -> None:
    """As a worker would; then the steps that follow."""
    row = platform.run(child)
    if row["state"] != "running":
        start(platform, child)
    good = to == RunState.SUCCEEDED
    envelope = Envelope(
        success=good,
        run_id=child,
        attempt=row["attempt"],
        task_id=f"{child}:{row['attempt']}",
        kind="test.inline",
        duration_seconds=0,
        result={} if good else None,
        error=None if good else named_cause("Test", "it broke", "mend it"),
    )
    with transaction(platform.engine) as session:
        assert sync.finish(session, child, to, envelope, attempt=row["attempt"])
    if step:
        do_steps(platform)


def do_steps(platform: Platform) -> int:
    """Carry out every `parent.advance` that was asked for."""
    asked = platform.rows("SELECT id, args FROM outbox WHERE step = 'parent.advance' AND sent_at IS NULL ORDER BY id")
    for row in asked:
        with transaction(platform.engine) as session:
            parents.advance(session, UUID(row["args"]["run_id"]))
            session.execute(text("UPDATE outbox SET sent_at = now() WHERE id = :id"), {"id": row["id"]})
    return len(asked)


def result(row: dict[str, Any]) -> BatchResult:
    return BatchResult.model_validate(row["envelope"]["result"] or row["envelope"]["partial"])


def test_a_batch_waits_without_a_slot_and_ends_with_its_last_run(platform: Platform) -> None:
    parent, children = batch(platform)
    for child in children[:-1]:
        end(platform, child)
        row = platform.run(parent)
        assert (row["state"], row["lease_expires_at"], row["worker"]) == ("waiting", None, None)
    end(platform, children[-1])
    row = platform.run(parent)
    assert row["state"] == "succeeded"
    assert result(row) == BatchResult(
        total=3, succeeded=3, failed=0, cancelled=0, quarantined=0, errors=[], successes=children
    )
    assert platform.states(parent) == ["waiting", "succeeded"]


def test_all_ends_at_the_first_failure_and_cancels_the_rest(platform: Platform) -> None:
    parent, children = batch(platform, 5)
    end(platform, children[0])
    end(platform, children[1], RunState.FAILED)
    row = platform.run(parent)
    assert (row["state"], row["envelope"]["error"]["type"]) == ("failed", "ChildrenFailed")
    assert "Of 5 runs 1 succeeded, 1 failed, 3 cancelled" in row["envelope"]["error"]["message"]
    assert "it broke" in row["envelope"]["error"]["message"]
    told = result(row)
    assert (told.succeeded, told.failed, told.cancelled, told.successes) == (1, 1, 3, children[:1])
    assert [error.run_id for error in told.errors] == [children[1]]


def test_any_ends_at_the_first_success_and_waits_for_what_it_stops(platform: Platform) -> None:
    parent, children = batch(platform, 3, "any")
    start(platform, children[2])
    end(platform, children[0], RunState.FAILED)
    assert platform.run(parent)["state"] == "waiting"
    end(platform, children[1])
    assert platform.run(parent)["state"] == "waiting", "one run is still to stop"
    assert platform.run(children[2])["cancel_requested_at"] is not None
    end(platform, children[2], RunState.CANCELLED)
    row = platform.run(parent)
    assert row["state"] == "succeeded"
    assert (result(row).succeeded, result(row).failed, result(row).cancelled) == (1, 1, 1)


@pytest.mark.parametrize(("last", "state"), [(RunState.SUCCEEDED, "succeeded"), (RunState.QUARANTINED, "failed")])
def test_best_effort_tries_everything_and_one_success_is_enough(platform: Platform, last: RunState, state: str) -> None:
    parent, children = batch(platform, 3, "best_effort")
    for child in children[:2]:
        end(platform, child, RunState.FAILED)
        assert platform.run(parent)["state"] == "waiting"
    end(platform, children[2], last)
    assert platform.run(parent)["state"] == state


def test_a_step_that_runs_ten_times_more_changes_nothing(platform: Platform) -> None:
    parent, children = batch(platform, 3, "best_effort")
    for child in children:
        end(platform, child)
        before = (platform.run(parent), children_of(platform, parent), platform.rows("SELECT * FROM run_events"))
        for _ in range(10):
            with transaction(platform.engine) as session:
                parents.advance(session, parent)
        assert (
            platform.run(parent),
            children_of(platform, parent),
            platform.rows("SELECT * FROM run_events"),
        ) == before
    assert platform.states(parent) == ["waiting", "succeeded"]


def test_a_lost_step_is_asked_for_again_once(platform: Platform) -> None:
    parent, children = batch(platform, 2)
    for child in children:
        end(platform, child, step=False)
    with transaction(platform.engine) as session:
        session.execute(text("DELETE FROM outbox"))
    assert parents.sweep(platform.engine, platform.settings) == 0, "it may be on its way"
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE runs SET finished_at = finished_at - interval '1 h' WHERE parent_id IS NOT NULL"))
    assert [parents.sweep(platform.engine, platform.settings) for _ in range(3)] == [1, 0, 0]
    assert do_steps(platform) == 1
    assert platform.run(parent)["state"] == "succeeded"
    assert parents.sweep(platform.engine, platform.settings) == 0


def test_a_parent_is_as_far_as_its_children_on_average(platform: Platform) -> None:
    parent, children = batch(platform, 4)
    end(platform, children[0])
    start(platform, children[1])
    with transaction(platform.engine) as session:
        sync.renew(session, children[1], 1, 30, Progress(fraction=0.5))
    parents.sweep(platform.engine, platform.settings)
    row = platform.run(parent)
    assert (row["fraction"], row["stage_current"], row["stage_total"]) == (0.375, 1, 4)
    for child in children[1:]:
        end(platform, child)
    told = platform.rows("SELECT data FROM run_events WHERE run_id = :id AND type = 'progress' ORDER BY seq", id=parent)
    assert told[-1]["data"]["fraction"] == 1.0
    assert len(told) <= 3, "told once in a while, and at the end"


def test_a_cancelled_parent_ends_when_its_children_have(platform: Platform) -> None:
    parent, children = batch(platform, 3)
    end(platform, children[0])
    start(platform, children[1])
    with transaction(platform.engine) as session:
        request_cancel(session, parent)
    assert platform.run(children[2])["state"] == "cancelled"
    assert platform.run(parent)["state"] == "waiting"
    end(platform, children[1], RunState.CANCELLED)
    row = platform.run(parent)
    assert (row["state"], result(row).succeeded, result(row).cancelled) == ("cancelled", 1, 2)


def test_a_cancelled_parent_that_nobody_runs_ends_at_once(platform: Platform) -> None:
    parent, _children = batch(platform)
    with transaction(platform.engine) as session:
        request_cancel(session, parent)
    assert platform.run(parent)["state"] == "cancelled"
    assert {child["state"] for child in children_of(platform, parent)} == {"cancelled"}
    assert do_steps(platform) == 0, "a parent that looks itself is not told"


def test_pausing_a_parent_rests_its_children_and_resuming_wakes_them(platform: Platform) -> None:
    parent, children = batch(platform, 3)
    end(platform, children[0])
    start(platform, children[1])
    with transaction(platform.engine) as session:
        request_pause(session, parent)
    row = platform.run(parent)
    assert (row["state"], row["pause_requested_at"] is not None) == ("waiting", True)
    assert [child["state"] for child in children_of(platform, parent)] == ["succeeded", "running", "paused"]
    assert platform.run(children[1])["pause_requested_at"] is not None
    end(platform, children[1])
    assert platform.run(parent)["state"] == "waiting"
    with transaction(platform.engine) as session:
        resume(session, parent)
    assert platform.run(parent)["pause_requested_at"] is None
    assert platform.run(children[2])["state"] == "queued"
    end(platform, children[2])
    assert platform.run(parent)["state"] == "succeeded"


def test_a_retried_batch_holds_only_what_did_not_succeed(platform: Platform) -> None:
    parent, children = batch(platform, 4, "best_effort")
    ends = [RunState.SUCCEEDED, RunState.FAILED, RunState.QUARANTINED, RunState.SUCCEEDED]
    for child, to in zip(children, ends, strict=True):
        end(platform, child, to)
    new = again(platform, parent)
    row = platform.run(new)
    assert (row["retry_of"], row["policy"], row["state"]) == (parent, "best_effort", "waiting")
    assert [child["retry_of"] for child in children_of(platform, new)] == children[1:3]
    assert len(children_of(platform, again(platform, parent, everything=True))) == 4


def test_a_batch_of_successes_is_not_retried_but_by_choice(platform: Platform) -> None:
    parent, children = batch(platform, 1)
    end(platform, children[0])
    with pytest.raises(Conflict, match="has succeeded"):
        again(platform, parent)


def again(platform: Platform, parent: UUID, *, everything: bool = False) -> UUID:
    with transaction(platform.engine) as session:
        run = session.get_one(Run, parent)
        return retry(session, platform.settings, platform.caller, run, everything=everything)

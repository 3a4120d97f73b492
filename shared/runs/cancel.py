"""Cancel is a request: what nobody runs ends at once, what runs ends when its attempt has seen it."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import TERMINAL, RunState
from shared.db.models import Run
from shared.runs import sync
from shared.runs.errors import CANCELLED, failure

_IDLE = [RunState.QUEUED, RunState.DISPATCHED, RunState.PREEMPTED, RunState.PAUSED, RunState.WAITING]
_ASK = text(
    "UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE id = :id AND state <> ALL(:ended)"
)


def request_cancel(session: Session, run_id: UUID) -> None:
    """Ask for the end of a run. Does nothing to one that has ended."""
    session.execute(_ASK, {"id": run_id, "ended": sorted(TERMINAL)})
    run = session.get_one(Run, run_id, with_for_update=True, populate_existing=True)
    if run.state in _IDLE:
        sync.finish(session, run_id, RunState.CANCELLED, failure(run, CANCELLED), only_from=_IDLE)

"""Cancel is a request: what nobody runs ends at once, what runs ends when its attempt has seen it."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import TERMINAL, RunState
from shared.db.models import Run
from shared.runs import parents, sync
from shared.runs.errors import cancelled, failure

_IDLE = [RunState.QUEUED, RunState.DISPATCHED, RunState.PREEMPTED, RunState.PAUSED]
_ASK = text(
    "UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE id = :id AND state <> ALL(:ended)"
)


def request_cancel(session: Session, run_id: UUID, *, tell_parent: bool = True) -> None:
    """Ask for the end of a run, and of all its children. Does nothing to one that has ended."""
    session.execute(_ASK, {"id": run_id, "ended": sorted(TERMINAL)})
    run = session.get_one(Run, run_id, with_for_update=True, populate_existing=True)
    if run.state in _IDLE:
        envelope = failure(run, cancelled())
        sync.finish(session, run_id, RunState.CANCELLED, envelope, only_from=_IDLE, tell_parent=tell_parent)
    elif run.state == RunState.WAITING:
        for child in parents.open_children(session, run_id):
            request_cancel(session, child.id, tell_parent=False)
        parents.wake(session, run)

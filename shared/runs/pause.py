"""Pause is a request, as cancel is: what nobody runs is set aside at once; what runs is asked to checkpoint and stop,
and is set aside when its attempt has. A paused run holds no slot. It goes on as a new attempt from its last checkpoint.
A parent stays `waiting`: it holds no slot anyway; its children rest.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import TERMINAL, RunState
from shared.db.models import Run
from shared.errors import Conflict
from shared.runs import parents, sync

_IDLE = [RunState.QUEUED, RunState.DISPATCHED]
_ASK = text("UPDATE runs SET pause_requested_at = coalesce(pause_requested_at, now()) WHERE id = :id")
_WITHDRAW = text("UPDATE runs SET pause_requested_at = NULL WHERE id = :id")


def request_pause(session: Session, run_id: UUID) -> None:
    """Ask a run to rest. Raises `Conflict` for one that has ended or is to be cancelled: a cancel outweighs a pause."""
    run = _open(session, run_id, "paused")
    if run.cancel_requested_at is not None:
        raise Conflict("A cancel of this run is under way; it cannot be paused.", remedy="Submit it again if wanted.")
    session.execute(_ASK, {"id": run_id})
    if run.state in _IDLE:
        sync.change(session, run_id, RunState.PAUSED, only_from=_IDLE, reason="asked to pause", crashed=0)
    elif run.state == RunState.WAITING:
        for child in parents.open_children(session, run_id):
            if child.cancel_requested_at is None:
                request_pause(session, child.id)
        parents.wake(session, run)


def resume(session: Session, run_id: UUID) -> None:
    """Queue a paused run as a new attempt that is no crash, or take back a pause that was only asked for.

    Does nothing to an open run that is not to pause. Raises `Conflict` for one that has ended.
    """
    run = _open(session, run_id, "resumed")
    if run.state == RunState.PAUSED:
        sync.change(
            session,
            run_id,
            RunState.QUEUED,
            only_from=[RunState.PAUSED],
            reason="resumed",
            step=1,
            crashed=0,
            delay_s=0.0,
            away_s=0.0,
        )
    else:
        session.execute(_WITHDRAW, {"id": run_id})
    if run.state == RunState.WAITING:
        for child in parents.open_children(session, run_id):
            resume(session, child.id)
        parents.wake(session, run)


def _open(session: Session, run_id: UUID, wanted: str) -> Run:
    """The run, locked."""
    run = session.get_one(Run, run_id, with_for_update=True, populate_existing=True)
    if run.state in TERMINAL:
        raise Conflict(
            f"The run has ended ({run.state}) and cannot be {wanted}.", remedy="Retry or clone it to run it again."
        )
    return run

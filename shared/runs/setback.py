"""An attempt that ended by no fault that its body named: it crashed, or something it needs is away. Both lead back to
the queue, but not for ever, and they are counted apart: crashes by number, outages by the time they have cost.
"""

from sqlalchemy.orm import Session

from shared.contracts.causes import REMEDIES, Cause
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.runs import sync
from shared.runs.errors import failure, named_cause
from shared.settings import Settings

_LONGEST_CRASH_WAIT_S = 60.0
_LONGEST_AWAY_WAIT_S = 300.0


def crashed(session: Session, settings: Settings, run: Run, what: str, cause: Cause, *, guard: str = "") -> str:
    """Another attempt, or quarantine when the run has crashed too often and is still wanted. `what` ends a sentence.

    Returns what became of the run.
    """
    if run.crashes + 1 < settings.max_crashes or run.cancel_requested_at is not None:
        sync.requeue(
            session,
            run.id,
            attempt=run.attempt,
            only_from=[RunState.RUNNING],
            reason=what,
            crashed=True,
            delay_s=0.0 if run.crashes == 0 else min(_LONGEST_CRASH_WAIT_S, 2.0**run.crashes),
            guard=guard,
        )
        return "queued"
    error = named_cause(
        "Quarantined",
        f"The run crashed {run.crashes + 1} times; the last time {what}.",
        REMEDIES.get(cause, "Look at its log, mend the cause and retry it."),
        cause,
    )
    sync.finish(session, run.id, RunState.QUARANTINED, failure(run, error), attempt=run.attempt, guard=guard)
    return "quarantined"


def put_off(session: Session, settings: Settings, run: Run, what: str, delay_s: float) -> str:
    """Another attempt later, each time twice as late; a failure when that has cost `dependency_away_s` since the last
    checkpoint. Returns what became of the run.
    """
    delay_s = max(delay_s, min(_LONGEST_AWAY_WAIT_S, run.away_s))
    if run.away_s + delay_s <= settings.dependency_away_s or run.cancel_requested_at is not None:
        sync.requeue(
            session,
            run.id,
            attempt=run.attempt,
            only_from=[RunState.RUNNING],
            reason=what,
            delay_s=delay_s,
            away_s=delay_s,
        )
        return "queued"
    error = named_cause(
        "DependencyDown",
        f"What the run needs stayed away for {round(run.away_s)} s: {what}",
        REMEDIES[Cause.DEPENDENCY_DOWN],
        Cause.DEPENDENCY_DOWN,
    )
    sync.finish(session, run.id, RunState.FAILED, failure(run, error), attempt=run.attempt)
    return "failed"

"""Takes back what was lost: messages that nobody claimed, leases that ran out, cancels that nobody carried out.

Any number may run; each change is guarded, so two reapers do no more than one.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from shared.contracts.causes import Cause
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.db.session import transaction
from shared.observability import metrics
from shared.runs import sync
from shared.runs.setback import crashed
from shared.settings import Settings

_log = structlog.get_logger(__name__)
#: Messages waiting in a queue; raises `Retryable` while the broker is away.
QueueDepth = Callable[[str], int]

_EXPIRED = "AND lease_expires_at < now()"
_LIMIT = 100


def reap_once(engine: Engine, settings: Settings, depth: QueueDepth) -> int:
    """One pass. Returns how many runs were taken back."""
    with transaction(engine) as session:
        lost = _lost_leases(session, settings)
    return lost + _lost_messages(engine, settings, depth)


def _lost_leases(session: Session, settings: Settings) -> int:
    runs = session.scalars(
        select(Run)
        .where(Run.state == RunState.RUNNING, text("lease_expires_at < now()"))
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    ).all()
    for run in runs:
        what = f"its worker '{run.worker}' was lost"
        reason = crashed(session, settings, run, what, Cause.LOST_NODE, guard=_EXPIRED)
        metrics.REAPED.labels("lease").inc()
        _log.warning("lease expired", run_id=str(run.id), attempt=run.attempt, worker=run.worker, outcome=reason)
    return len(runs)


_OVERDUE = "dispatched_at < now() - make_interval(secs => :timeout_s)"


def _lost_messages(engine: Engine, settings: Settings, depth: QueueDepth) -> int:
    """The broker is asked before a row is locked: it may be slow to answer."""
    late = text(_OVERDUE).bindparams(timeout_s=settings.dispatch_timeout_s)
    with transaction(engine) as session:
        pools = session.scalars(select(Run.pool).where(Run.state == RunState.DISPATCHED, late).distinct()).all()
    waiting = {pool: depth(pool) for pool in pools}
    with transaction(engine) as session:
        return _take_back(session, settings, waiting)


def _take_back(session: Session, settings: Settings, waiting: dict[str, int]) -> int:
    overdue = session.scalars(
        select(Run)
        .where(
            Run.state == RunState.DISPATCHED,
            Run.pool.in_(waiting),
            text(_OVERDUE).bindparams(timeout_s=settings.dispatch_timeout_s),
        )
        .order_by(Run.dispatched_at)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    ).all()
    taken = 0
    for run in overdue:
        guard = "" if waiting[run.pool] == 0 else f"AND dispatched_at < now() - interval '{settings.dispatch_stale_s}s'"
        if sync.requeue(
            session,
            run.id,
            attempt=run.attempt,
            only_from=[RunState.DISPATCHED],
            reason="nobody claimed the message",
            same_attempt=True,
            guard=guard,
        ):
            taken += 1
            metrics.REAPED.labels("message").inc()
            _log.warning("message lost", run_id=str(run.id), attempt=run.attempt, pool=run.pool)
    return taken

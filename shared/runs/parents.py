"""A parent is a run that waits on its children: no message, no lease, no slot. The commit that ends a child asks for
the step `parent.advance`, which looks at the children and decides; it may run ten times more and change nothing.

A kind of parent is a name and such a function; campaigns have a step and a service of their own. Locks are taken in one
order: the parent, then its children by id.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from uuid6 import uuid7

from shared.contracts.campaigns import ADVANCE, CAMPAIGN
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.views import ChildCounts, Progress
from shared.db.listen import RUNS_CHANNEL
from shared.db.models import Run
from shared.db.session import transaction
from shared.observability.tracing import current_traceparent
from shared.runs import outbox
from shared.settings import Settings

#: Where parents stand in counts by pool; no worker serves it.
PARENTS_POOL = "parents"
STEP = "parent.advance"
#: Looks at the children of a locked, waiting parent and does what follows.
Advance = Callable[[Session, Run], None]
_ADVANCE: dict[str, Advance] = {}


def register_parent(kind: str, advance_: Advance) -> None:
    """Say what moves parents of a kind on, in the processes that can."""
    _ADVANCE[kind] = advance_


_OPENED = text(
    f"""
    WITH told AS (
        INSERT INTO run_events (run_id, seq, attempt, type, data)
        VALUES (:id, 1, 1, 'state', CAST(:data AS jsonb))
    ) SELECT pg_notify('{RUNS_CHANNEL}', concat_ws(' ', CAST(:id AS text), 1, 'waiting', '{PARENTS_POOL}'))
    """  # noqa: S608 - constants
)


def open_parent(session: Session, **fields: Any) -> UUID:
    """Insert a waiting parent: project_id, created_by, kind, spec, spec_version, policy, labels, priority, retry_of."""
    run = Run(
        id=uuid7(),
        inputs={},
        pool=PARENTS_POOL,
        state=RunState.WAITING,
        event_seq=1,
        traceparent=current_traceparent(),
        **fields,
    )
    session.add(run)
    session.flush()
    session.execute(_OPENED, {"id": run.id, "data": orjson.dumps({"state": RunState.WAITING}).decode()})
    return run.id


def advance(session: Session, run_id: UUID) -> None:
    """The body of the step. Does nothing to a parent that has ended."""
    parent = session.get(Run, run_id, with_for_update=True, populate_existing=True)
    if parent is not None and parent.state == RunState.WAITING:
        _ADVANCE[parent.kind](session, parent)


def wake(session: Session, parent: Run) -> None:
    """Advance a locked parent now if this process can, else by a step."""
    if parent.kind in _ADVANCE:
        _ADVANCE[parent.kind](session, parent)
    else:
        step = ADVANCE if parent.kind == CAMPAIGN else STEP
        outbox.put(session, step, {"run_id": str(parent.id)}, traceparent=parent.traceparent)


def open_children(session: Session, parent_id: UUID) -> list[Run]:
    """Children that have not ended, locked, so that they do not end meanwhile."""
    query = select(Run).where(Run.parent_id == parent_id, Run.state.not_in(TERMINAL)).order_by(Run.id)
    return list(session.scalars(query.with_for_update().execution_options(populate_existing=True)).all())


_COUNTS = text(
    "SELECT parent_id, state, count(*) AS runs FROM runs WHERE parent_id = ANY(:ids) GROUP BY parent_id, state"
)
_SHOWN = {
    RunState.QUEUED: "waiting",
    RunState.DISPATCHED: "waiting",
    RunState.PREEMPTED: "waiting",
    RunState.WAITING: "waiting",
}


def count_children(session: Session, parent_ids: Iterable[UUID]) -> dict[UUID, ChildCounts]:
    """How the children of each parent stand."""
    counts: dict[UUID, dict[str, int]] = {parent: {"total": 0} for parent in parent_ids}
    for row in session.execute(_COUNTS, {"ids": list(counts)}):
        own = counts[row.parent_id]
        shown = _SHOWN.get(RunState(row.state), row.state)
        own[shown] = own.get(shown, 0) + row.runs
        own["total"] += row.runs
    return {parent: ChildCounts(**own) for parent, own in counts.items()}


_STANDING = text(
    """
    SELECT p.id, p.fraction AS told, avg(CASE WHEN c.finished_at IS NULL THEN c.fraction ELSE 1 END) AS fraction,
        count(*) AS total, count(*) FILTER (WHERE c.finished_at IS NOT NULL) AS ended,
        count(*) FILTER (WHERE c.finished_at < now() - make_interval(secs => :late_s))
            > coalesce(p.stage_current, 0) AS overlooked
    FROM runs p JOIN runs c ON c.parent_id = p.id
    WHERE p.finished_at IS NULL AND p.pool = :pool AND p.state = 'waiting' AND p.kind <> :campaign
        AND (CAST(:id AS uuid) IS NULL OR p.id = :id)
    GROUP BY p.id
    """
)
_ASKED = text(
    "SELECT 1 FROM outbox WHERE step = :step AND args->>'run_id' = CAST(:id AS text) "
    "AND created_at > now() - make_interval(secs => :late_s) LIMIT 1"
)
#: A smaller change of a parent's fraction is no news.
_NOTICEABLE = 0.005


_TELL_WAITING = text(
    """
    WITH last AS (
        SELECT CASE WHEN EXISTS (SELECT 1 FROM run_events WHERE run_id = :id AND type = 'progress'
            AND at > clock_timestamp() - make_interval(secs => :quiet_s)) THEN 0 ELSE 1 END AS loud
    ), told AS (
        UPDATE runs SET event_seq = event_seq + loud, fraction = greatest(fraction, :fraction), stage = :stage,
            stage_current = coalesce(:current, stage_current), stage_total = :total
        FROM last WHERE id = :id AND state = 'waiting' RETURNING id, event_seq, attempt, loud
    )
    INSERT INTO run_events (run_id, seq, attempt, type, data)
    SELECT id, event_seq, attempt, 'progress', CAST(:data AS jsonb) FROM told WHERE loud = 1
    """
)


def tell_progress(session: Session, run_id: UUID, progress: Progress, *, quiet_s: float) -> None:
    """Write the progress of a waiting parent; as an event only if the last one is older than `quiet_s`."""
    values = progress.model_dump(exclude={"eta_seconds"})
    data = orjson.dumps(progress.model_dump()).decode()
    session.execute(_TELL_WAITING, {"id": run_id, "data": data, "quiet_s": quiet_s, **values})


def tell(session: Session, parent: Run, *, quiet_s: float = 1.0) -> None:
    """Write how far the children of a waiting parent are; as an event if the last one is older than `quiet_s`."""
    row = session.execute(_STANDING, {"id": parent.id, "pool": PARENTS_POOL, "campaign": CAMPAIGN, "late_s": 0.0}).one()
    progress = Progress(fraction=float(row.fraction), stage="children", current=row.ended, total=row.total)
    tell_progress(session, parent.id, progress, quiet_s=quiet_s)


def sweep(engine: Engine, settings: Settings) -> int:
    """One pass over all waiting parents but campaigns, which have their own: tell what their running children did, and
    ask again for a step that was lost.

    Returns how many steps were lost. A step is overlooked if a child ended `dispatch_timeout_s` ago and no advance has
    counted it.
    """
    lost = 0
    with transaction(engine) as session:
        values = {"id": None, "pool": PARENTS_POOL, "campaign": CAMPAIGN, "late_s": settings.dispatch_timeout_s}
        rows = session.execute(_STANDING, values).all()
        for row in rows:
            if float(row.fraction) - row.told >= _NOTICEABLE:
                tell_progress(
                    session,
                    row.id,
                    Progress(fraction=float(row.fraction), stage="children", total=row.total),
                    quiet_s=settings.progress_interval_s,
                )
            asked = {"step": STEP, "id": row.id, "late_s": settings.dispatch_timeout_s}
            if row.overlooked and session.execute(_ASKED, asked).first() is None:
                outbox.put(session, STEP, {"run_id": str(row.id)})
                lost += 1
    return lost

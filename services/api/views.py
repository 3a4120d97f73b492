"""From rows to what clients see."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import Session

from shared.contracts.envelope import Envelope
from shared.contracts.states import RunState
from shared.contracts.views import Page, Progress, RunView
from shared.db.models import Run
from shared.errors import NotFound

T = TypeVar("T")


def run_view(run: Run, wait_reason: str | None = None) -> RunView:
    """One run."""
    return RunView(
        id=run.id,
        kind=run.kind,
        state=RunState(run.state),
        pool=run.pool,
        priority=run.priority,
        attempt=run.attempt,
        progress=Progress(
            fraction=1.0 if run.state == RunState.SUCCEEDED else run.fraction,
            stage=run.stage,
            current=run.stage_current,
            total=run.stage_total,
            eta_seconds=run.eta_seconds,
        ),
        spec=run.spec,
        labels=run.labels,
        wait_reason=wait_reason,
        retry_of=run.retry_of,
        parent_id=run.parent_id,
        schedule_id=run.schedule_id,
        policy=run.policy,
        cancel_requested_at=run.cancel_requested_at,
        pause_requested_at=run.pause_requested_at,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        worker=run.worker,
        cause=run.cause,
        error_signature=run.error_signature,
        envelope=Envelope.model_validate(run.envelope) if run.envelope else None,
    )


def find_run(session: Session, project_id: UUID, run_id: UUID) -> Run:
    """The run, if it is this project's. Raises `NotFound`."""
    run = session.scalars(select(Run).where(Run.id == run_id, Run.project_id == project_id)).one_or_none()
    if run is None:
        raise NotFound(f"There is no run {run_id} in this project.")
    return run


_LIVE = text(
    "SELECT count(*) FROM workers WHERE :pool = ANY(pools) AND :kind = ANY(kinds) AND NOT draining "
    "AND heartbeat_at > now() - make_interval(secs => :lease_s)"
)


def wait_reason(session: Session, run: Run, lease_s: float) -> str | None:
    """Why a run has not started, in a sentence; None if it has."""
    if run.state == RunState.DISPATCHED:
        return "Its message is sent; a worker takes it when a slot is free."
    if run.state != RunState.QUEUED:
        return None
    if not session.execute(_LIVE, {"pool": run.pool, "kind": run.kind, "lease_s": lease_s}).scalar():
        return f"No live worker of the pool {run.pool!r} serves {run.kind}."
    ahead = session.execute(
        select(func.count())
        .select_from(Run)
        .where(Run.state == RunState.QUEUED, Run.pool == run.pool)
        .where((Run.priority > run.priority) | ((Run.priority == run.priority) & (Run.queued_at < run.queued_at)))
    ).scalar_one()
    return f"All slots of the pool {run.pool!r} are busy; {ahead} queued before it."


def page_of(rows: Sequence[Row[Any] | Any], items: list[T], limit: int) -> Page[T]:
    """A page with the cursor of the next one: the id of the last row shown, if there are more."""
    more = len(rows) > limit
    return Page(items=items[:limit], next_cursor=str(rows[limit - 1].id) if more else None)

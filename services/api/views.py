"""From rows to what clients see."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from shared.contracts.campaigns import CAMPAIGN
from shared.contracts.envelope import Envelope
from shared.contracts.states import RunState
from shared.contracts.views import ChildCounts, Page, Progress, RunView
from shared.db.models import Run
from shared.errors import NotFound
from shared.runs.parents import count_children

T = TypeVar("T")


def run_view(run: Run | Row[Any], wait_reason: str | None = None, children: ChildCounts | None = None) -> RunView:
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
        not_before=run.not_before,
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
        children=children,
        envelope=Envelope.model_validate(run.envelope) if run.envelope else None,
    )


def is_parent(run: Run) -> bool:
    """Whether it waits on runs of its own: a batch or a campaign."""
    return run.policy is not None or run.kind == CAMPAIGN


def run_views(session: Session, runs: Sequence[Run]) -> list[RunView]:
    """Several runs, with the counts of those that are parents."""
    counts = count_children(session, [run.id for run in runs if is_parent(run)])
    return [run_view(run, children=counts.get(run.id)) for run in runs]


def find_run(session: Session, project_id: UUID, run_id: UUID) -> Run:
    """The run, if it is this project's. Raises `NotFound`."""
    run = session.scalars(select(Run).where(Run.id == run_id, Run.project_id == project_id)).one_or_none()
    if run is None:
        raise NotFound(f"There is no run {run_id} in this project.")
    return run


def page_of(rows: Sequence[Row[Any] | Any], items: list[T], limit: int) -> Page[T]:
    """A page with the cursor of the next one: the id of the last row shown, if there are more."""
    more = len(rows) > limit
    return Page(items=items[:limit], next_cursor=str(rows[limit - 1].id) if more else None)

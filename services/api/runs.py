"""Runs: list and show; their metrics, logs and files."""

import math
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on

from services.api.deps import PartsDep, SessionDep, ViewerDep
from services.api.search import PagingDep, RunFilterDep, find_runs
from services.api.views import find_run, is_parent, run_view, run_views
from shared.contracts.pools import WaitView
from shared.contracts.states import TERMINAL
from shared.contracts.views import ArtifactView, LogLine, MetricPoint, Page, RunView
from shared.db.models import Artifact, RunMetric
from shared.runs.parents import count_children
from shared.runs.reporter import MAX_METRIC_NAMES
from shared.runs.waiting import explain, wait_sentence

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@router.get("")
def list_runs(session: SessionDep, identity: ViewerDep, wanted: RunFilterDep, paging: PagingDep) -> Page[RunView]:
    """Runs of the project that fit all that is asked for, newest first unless said otherwise."""
    rows, next_cursor = find_runs(session, identity.project_id, wanted, paging)
    return Page(items=run_views(session, rows), next_cursor=next_cursor)


@router.get("/{run_id}")
def show_run(run_id: UUID, session: SessionDep, parts: PartsDep, identity: ViewerDep) -> RunView:
    """One run, and why it waits if it does."""
    run = find_run(session, identity.project_id, run_id)
    children = count_children(session, [run_id])[run_id] if is_parent(run) else None
    return run_view(run, wait_sentence(session, parts.settings, run), children)


@router.get("/{run_id}/wait")
def explain_wait(run_id: UUID, session: SessionDep, parts: PartsDep, identity: ViewerDep) -> WaitView:
    """Why a run has not started, how many are sent before it, and when it may start."""
    return explain(session, parts.settings, find_run(session, identity.project_id, run_id))


@router.get("/{run_id}/metrics")
def list_metrics(
    run_id: UUID,
    session: SessionDep,
    identity: ViewerDep,
    after: Annotated[int, Query(ge=-1, le=2**62)] = -1,
    limit: Annotated[int, Query(ge=MAX_METRIC_NAMES, le=10_000)] = 5000,
) -> Page[MetricPoint]:
    """Points behind step `after`, in order; of a resumed run the newest attempt's value of each step."""
    find_run(session, identity.project_id, run_id)
    rows = session.scalars(
        select(RunMetric)
        .where(RunMetric.run_id == run_id, RunMetric.step > after)
        .order_by(RunMetric.step, RunMetric.name, RunMetric.attempt.desc())
        .ext(distinct_on(RunMetric.step, RunMetric.name))
        .limit(limit + 1)
    ).all()
    items = [MetricPoint(name=row.name, step=row.step, value=finite(row.value), attempt=row.attempt) for row in rows]
    if len(items) <= limit:
        return Page(items=items)
    last = items[limit].step  #: the page ends with a whole step, so that the cursor is a step
    whole = [item for item in items if item.step < last]
    return Page(items=whole, next_cursor=str(whole[-1].step))


@router.get("/{run_id}/logs")
def list_logs(
    run_id: UUID,
    session: SessionDep,
    parts: PartsDep,
    identity: ViewerDep,
    after: Annotated[str, Query(pattern=r"^\d{1,6}\.\d{6}\.\d{1,9}$")] = "0.000000.0",
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Page[LogLine]:
    """Lines in order, from the cursor on; while the run goes on there is always a next cursor."""
    run = find_run(session, identity.project_id, run_id)
    attempt, chunk, seen = (int(part) for part in after.split("."))
    place = tuple_(Artifact.attempt, Artifact.name)
    chunks = session.scalars(
        select(Artifact)
        .where(Artifact.run_id == run_id, Artifact.role == "log", place >= (attempt, f"{chunk:06d}.jsonl"))
        .order_by(Artifact.attempt, Artifact.name)
    )
    lines: list[LogLine] = []
    cursor = after
    for row in chunks:
        begin = seen if (row.attempt, row.name) == (attempt, f"{chunk:06d}.jsonl") else 0
        new = parts.store.read(row.key).splitlines()[begin:]
        room = limit - len(lines)
        lines += [LogLine(attempt=row.attempt, line=_line(line)) for line in new[:room]]
        cursor = f"{row.attempt}.{row.name.removesuffix('.jsonl')}.{begin + min(len(new), room)}"
        if len(new) > room:
            return Page(items=lines, next_cursor=cursor)
    return Page(items=lines, next_cursor=None if run.state in TERMINAL else cursor)


def finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None


def _line(raw: bytes) -> dict[str, object]:
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {"event": raw.decode("utf-8", "replace")}
    return line if isinstance(line, dict) else {"event": str(line)}


@router.get("/{run_id}/artifacts")
def list_artifacts(run_id: UUID, session: SessionDep, identity: ViewerDep) -> Page[ArtifactView]:
    """Files of the run that exist: those of the attempt that succeeded, and checkpoints while it runs."""
    run = find_run(session, identity.project_id, run_id)
    rows = session.scalars(
        select(Artifact)
        .where(Artifact.run_id == run_id, Artifact.role != "log", Artifact.attempt <= run.attempt)
        .order_by(Artifact.attempt, Artifact.name)
    )
    return Page(items=[artifact_view(row) for row in rows])


def artifact_view(row: Artifact) -> ArtifactView:
    """One file."""
    return ArtifactView(
        id=row.id,
        run_id=row.run_id,
        attempt=row.attempt,
        name=row.name,
        role=row.role,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        content_type=row.content_type,
        created_at=row.created_at,
    )

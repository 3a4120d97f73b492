"""The order in which queued runs of a pool are sent: one statement, for the dispatcher and for "why does it wait?".

Priority first. Among equals the project that holds the fewest slots of the pool for its share; then the one that was
served least of late for its share, which makes turns where slots are few; then age.

Each (project, kind, priority) that waits is found by one probe of the index `runs_queued`, and only the head of each
is read, so the cost grows with the projects that wait and not with what they have queued.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from shared.db.session import Executes

#: So many of the pool's last runs are what "of late" means.
RECENT = 100

_ORDERED = f"""
    WITH RECURSIVE heads AS (
        (SELECT project_id, kind, - priority AS rank FROM runs WHERE state = 'queued' AND pool = :pool
            ORDER BY project_id, kind, - priority LIMIT 1)
        UNION ALL
        SELECT next.* FROM heads, LATERAL (
            SELECT project_id, kind, - priority AS rank FROM runs WHERE state = 'queued' AND pool = :pool
                AND (project_id, kind, - priority) > (heads.project_id, heads.kind, heads.rank)
            ORDER BY project_id, kind, - priority LIMIT 1
        ) AS next
    ), holding AS (
        SELECT project_id, count(*) AS everywhere, count(*) FILTER (WHERE pool = :pool) AS here FROM runs
        WHERE state IN ('dispatched', 'running') GROUP BY project_id
    ), served AS (
        SELECT project_id, count(*) AS runs FROM (
            SELECT project_id FROM runs WHERE pool = :pool AND finished_at IS NOT NULL AND started_at IS NOT NULL
            ORDER BY finished_at DESC LIMIT {RECENT}
        ) AS recent GROUP BY project_id
    ), due AS (
        SELECT head.* FROM heads, LATERAL (
            SELECT id, project_id, kind, priority, GREATEST(queued_at, not_before) AS since FROM runs
            WHERE state = 'queued' AND pool = :pool AND project_id = heads.project_id AND kind = heads.kind
                AND - priority = heads.rank AND GREATEST(queued_at, not_before) <= now()
                AND cancel_requested_at IS NULL
            ORDER BY GREATEST(queued_at, not_before), id LIMIT :limit
        ) AS head
        WHERE heads.kind = ANY(:kinds) AND heads.project_id <> ALL(CAST(:barred AS uuid[]))
    ), numbered AS (
        SELECT *, row_number() OVER (PARTITION BY project_id ORDER BY priority DESC, since, id) - 1 AS nth FROM due
    ), ordered AS (
        SELECT numbered.id, numbered.project_id, row_number() OVER (
            ORDER BY numbered.priority DESC,
                (coalesce(holding.here, 0) + numbered.nth) / GREATEST(projects.share, 0.001),
                coalesce(served.runs, 0) / GREATEST(projects.share, 0.001),
                numbered.since, numbered.id
        ) AS place
        FROM numbered JOIN projects ON projects.id = numbered.project_id
            LEFT JOIN holding ON holding.project_id = numbered.project_id
            LEFT JOIN served ON served.project_id = numbered.project_id
        WHERE projects.deleted_at IS NULL AND (
            projects.max_running IS NULL OR coalesce(holding.everywhere, 0) + numbered.nth < projects.max_running)
    )
"""  # noqa: S608 - built from constants of this module

_PICK = text(
    f"""{_ORDERED}
    SELECT runs.id, runs.kind, runs.attempt, runs.traceparent
    FROM runs JOIN (SELECT id, place FROM ordered ORDER BY place LIMIT :limit) AS first ON first.id = runs.id
    WHERE runs.state = 'queued' AND runs.cancel_requested_at IS NULL
    ORDER BY first.place FOR UPDATE OF runs SKIP LOCKED
    """  # noqa: S608 - constant
)
_PLACE = text(f"{_ORDERED} SELECT place - 1 AS ahead FROM ordered WHERE id = :id")  # noqa: S608 - constant


def pick(
    session: Executes, pool: str, limit: int, kinds: Sequence[str], barred: Sequence[UUID] = ()
) -> Sequence[Row[Any]]:
    """The next runs of a pool, in order and locked: at most `limit`, of these kinds, of no `barred` project."""
    values = {"pool": pool, "limit": limit, "kinds": list(kinds), "barred": list(barred)}
    rows: Sequence[Row[Any]] = session.execute(_PICK, values).all()
    return rows


def ahead_of(
    session: Session, run_id: UUID, pool: str, kinds: Sequence[str], barred: Sequence[UUID], limit: int
) -> int | None:
    """How many runs are to be sent before this one. None: it is not to be sent now, or more than `limit` wait."""
    values = {"id": run_id, "pool": pool, "limit": limit, "kinds": list(kinds), "barred": list(barred)}
    ahead: int | None = session.execute(_PLACE, values).scalar()
    return ahead

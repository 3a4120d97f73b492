"""What a project may use. Slots are counted where runs are sent (`order.py`), queued runs and GPU hours here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.db.session import Executes
from shared.errors import QuotaExceeded
from shared.settings import Settings

_LOCK = text("SELECT max_queued FROM projects WHERE id = :project AND max_queued IS NOT NULL FOR NO KEY UPDATE")
_QUEUED = text(
    "SELECT count(*) FROM (SELECT 1 FROM runs WHERE project_id = :project AND state = 'queued' LIMIT :limit) AS queued"
)
_GPU_HOURS = text(
    """
    WITH limited AS (
        SELECT id, name, gpu_hours_per_day FROM projects WHERE gpu_hours_per_day IS NOT NULL AND deleted_at IS NULL
    ), used AS (
        SELECT runs.id, runs.project_id FROM runs
        WHERE runs.pool = ANY(:pools) AND runs.finished_at > now() - interval '1 day' AND runs.started_at IS NOT NULL
            AND runs.project_id IN (SELECT id FROM limited)
        UNION ALL
        SELECT runs.id, runs.project_id FROM runs
        WHERE runs.pool = ANY(:pools) AND runs.finished_at IS NULL AND runs.started_at IS NOT NULL
            AND runs.project_id IN (SELECT id FROM limited)
    ), spans AS (
        SELECT used.project_id, event.data ->> 'state' AS state, event.at AS since,
            coalesce(lead(event.at) OVER (PARTITION BY used.id ORDER BY event.seq), now()) AS until
        FROM used JOIN run_events AS event ON event.run_id = used.id AND event.type = 'state'
    ), hours AS (
        SELECT project_id, sum(extract(epoch FROM until - GREATEST(since, now() - interval '1 day'))) / 3600 AS hours
        FROM spans WHERE state = 'running' AND until > now() - interval '1 day' GROUP BY project_id
    )
    SELECT limited.id AS project_id, limited.name AS project, 'gpu_hours_per_day' AS quota,
        CAST(coalesce(hours.hours, 0) AS double precision) AS used, limited.gpu_hours_per_day AS most
    FROM limited LEFT JOIN hours ON hours.project_id = limited.id
    """
)
_QUEUES = text(
    """
    SELECT id AS project_id, name AS project, 'max_queued' AS quota, max_queued AS most, (
        SELECT count(*) FROM (
            SELECT 1 FROM runs WHERE project_id = projects.id AND state = 'queued' LIMIT projects.max_queued) AS queued
        ) AS used
    FROM projects WHERE max_queued IS NOT NULL AND deleted_at IS NULL
    """
)


def check_queued(session: Executes, project_id: UUID) -> None:
    """After a run was added: raises `QuotaExceeded` if the project now has more queued runs than it may.

    Whoever adds one to a project with a limit waits here for the others, so that they are counted.
    """
    limit, room = _limit_and_room(session, project_id)
    if room < 0:
        raise QuotaExceeded(
            f"The project may have {limit} queued runs, and has them.",
            remedy="Wait until some have started, cancel some, or ask an operator for a higher `max_queued`.",
        )


def queue_room(session: Executes, project_id: UUID) -> float:
    """How many runs a project may add to its queue, infinite without a limit. With one nobody else adds any before the
    end of this transaction."""
    return max(0.0, _limit_and_room(session, project_id)[1])


def _limit_and_room(session: Executes, project_id: UUID) -> tuple[int | None, float]:
    limit = session.execute(_LOCK, {"project": project_id}).scalar()
    if limit is None:
        return None, math.inf
    return limit, float(limit - session.execute(_QUEUED, {"project": project_id, "limit": limit + 1}).scalar())


@dataclass(frozen=True)
class Used:
    """How much of one quota a project has used."""

    project_id: UUID
    project: str
    quota: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        """Of the limit; of a limit of nothing all is used."""
        return self.used / self.limit if self.limit > 0 else 1.0


def out_of_gpu_hours(session: Session, settings: Settings) -> Sequence[UUID]:
    """Projects that used up their `gpu_hours_per_day` within the last 24 hours.

    An hour is an hour of a run in the state `running` in a pool whose resource class is `gpu`.
    """
    return [used.project_id for used in _gpu_hours(session, settings) if used.used >= used.limit]


def used_quotas(session: Session, settings: Settings) -> list[Used]:
    """What projects with limits have used of them."""
    return _gpu_hours(session, settings) + _read(session.execute(_QUEUES).all())


def _gpu_hours(session: Session, settings: Settings) -> list[Used]:
    pools = [pool.name for pool in settings.pools if pool.resource_class == "gpu"]
    return _read(session.execute(_GPU_HOURS, {"pools": pools}).all()) if pools else []


def _read(rows: Sequence[Any]) -> list[Used]:
    return [Used(row.project_id, row.project, row.quota, float(row.used), float(row.most)) for row in rows]

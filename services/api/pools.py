"""Pools: how they stand, and their pause."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.api.audit import audit
from services.api.deps import OperatorDep, PartsDep, SessionDep, ViewerDep
from shared.contracts.pools import PauseRequest, PoolView
from shared.contracts.states import RunState
from shared.contracts.views import Page
from shared.errors import NotFound
from shared.runs import pools
from shared.runs.pools import Room
from shared.settings import Pool, Settings

router = APIRouter(prefix="/v1/pools", tags=["pools"])
_OPEN = text(
    "SELECT pool, state, count(*) AS runs, extract(epoch FROM now() - min(queued_at)) AS oldest_s FROM runs "
    "WHERE finished_at IS NULL AND pool = ANY(:pools) GROUP BY pool, state"
)
_HOUR = text(
    "SELECT pool, count(*) AS runs FROM runs WHERE pool = ANY(:pools) AND started_at IS NOT NULL "
    "AND finished_at > now() - interval '1 hour' GROUP BY pool"
)
_CHANGED = text("SELECT name, changed_at FROM pool_controls WHERE name = ANY(:pools)")


def _views(session: Session, settings: Settings, asked: list[Pool]) -> list[PoolView]:
    values = {"pools": [pool.name for pool in asked]}
    counted = session.execute(_OPEN, values).all()
    ended = {row.pool: row.runs for row in session.execute(_HOUR, values)}
    changed = {row.name: row.changed_at for row in session.execute(_CHANGED, values)}
    views = []
    for pool, room in zip(asked, pools.rooms(session, settings, asked, 1), strict=True):
        here = [row for row in counted if row.pool == pool.name]
        views.append(_view(session, pool, room, here, ended.get(pool.name, 0), changed.get(pool.name)))
    return views


def _view(
    session: Session, pool: Pool, room: Room, counted: list[Any], ended: int, changed_at: datetime | None
) -> PoolView:
    oldest_s = next((float(row.oldest_s) for row in counted if row.state == RunState.QUEUED), None)
    return PoolView(
        name=pool.name,
        resource_class=pool.resource_class,
        lead=pool.lead,
        slots=room.slots,
        busy=room.busy,
        states={RunState(row.state): row.runs for row in counted},
        oldest_queued_seconds=oldest_s,
        ended_last_hour=ended,
        median_seconds=pools.typical_seconds(session, pool.name),
        paused=room.paused,
        reason=room.reason,
        changed_at=changed_at,
    )


def _named(settings: Settings, name: str) -> Pool:
    for pool in settings.pools:
        if pool.name == name:
            return pool
    raise NotFound(
        f"There is no pool named {name[:60]!r}.",
        remedy=f"Use one of: {', '.join(pool.name for pool in settings.pools)}.",
    )


@router.get("")
def list_pools(session: SessionDep, parts: PartsDep, _identity: ViewerDep) -> Page[PoolView]:
    """Every pool of the settings."""
    return Page(items=_views(session, parts.settings, parts.settings.pools))


@router.get("/{name}")
def show_pool(name: str, session: SessionDep, parts: PartsDep, _identity: ViewerDep) -> PoolView:
    """One pool."""
    return _views(session, parts.settings, [_named(parts.settings, name)])[0]


@router.post("/{name}/pause")
def pause_pool(name: str, body: PauseRequest, session: SessionDep, parts: PartsDep, identity: OperatorDep) -> PoolView:
    """Send nothing more of a pool. What runs goes on; what was sent and not yet taken is queued again."""
    pool = _named(parts.settings, name)
    back = pools.pause(session, pool.name, body.reason, identity.principal_id)
    audit(session, identity, "pool.pause", pool.name, reason=body.reason, taken_back=back)
    return _views(session, parts.settings, [pool])[0]


@router.post("/{name}/resume")
def resume_pool(name: str, session: SessionDep, parts: PartsDep, identity: OperatorDep) -> PoolView:
    """Send the pool's runs again."""
    pool = _named(parts.settings, name)
    pools.resume(session, pool.name, identity.principal_id)
    audit(session, identity, "pool.resume", pool.name)
    return _views(session, parts.settings, [pool])[0]

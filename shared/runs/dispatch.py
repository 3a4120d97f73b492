"""Picks queued runs and rings the doorbell. The broker's queues stay short, so order is decided here, from rows.

A row is locked while its message is sent, and a claim takes a queued row too: one that comes faster than the commit
waits for it. A dispatcher that dies before it leaves the row queued: a message can go out twice but never be missing.
"""

from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.contracts.states import RunState
from shared.db.session import transaction
from shared.errors import Retryable
from shared.observability import metrics
from shared.runs import sync
from shared.settings import Pool, Settings

_log = structlog.get_logger(__name__)
#: (kind, queue, run id, attempt, traceparent); raises `Retryable` while the broker is away.
SendRun = Callable[[str, str, UUID, int, str | None], None]
#: Sent per commit: the lock is held this long, and a claim may wait for it.
_BATCH = 20

_FREE = text(
    """
    SELECT coalesce(sum(greatest(0, slots - busy)), 0) AS free, coalesce(sum(slots), 0) AS slots,
        array(SELECT DISTINCT unnest(kinds) FROM workers WHERE :pool = ANY(pools) AND NOT draining
            AND heartbeat_at > now() - make_interval(secs => :lease_s)) AS kinds
    FROM (
        SELECT slots, (SELECT count(*) FROM runs WHERE state = 'running' AND worker = workers.name) AS busy
        FROM workers
        WHERE :pool = ANY(pools) AND NOT draining AND heartbeat_at > now() - make_interval(secs => :lease_s)
    ) AS live
    """
)
_UNCLAIMED = text("SELECT count(*) FROM runs WHERE state = 'dispatched' AND pool = :pool")
_NEXT = text(
    """
    SELECT id, kind, attempt, traceparent FROM runs
    WHERE state = 'queued' AND pool = :pool AND kind = ANY(:kinds)
        AND cancel_requested_at IS NULL AND (not_before IS NULL OR not_before <= now())
    ORDER BY priority DESC, queued_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """
)


def room(session: Session, settings: Settings, pool: Pool) -> tuple[int, list[str]]:
    """How many more messages the pool can use (its free slots and its lead, less what is unclaimed), of which kinds."""
    free, slots, kinds = session.execute(_FREE, {"pool": pool.name, "lease_s": settings.lease_s}).one()
    metrics.LIVE_SLOTS.labels(pool.name).set(slots)
    if not slots:
        return 0, []
    unclaimed = session.execute(_UNCLAIMED, {"pool": pool.name}).scalar_one()
    return max(0, int(free) + pool.lead - int(unclaimed)), kinds


def dispatch_once(engine: Engine, settings: Settings, send: SendRun) -> int:
    """Send what the pools have room for. Returns how many messages went out."""
    return sum(_dispatch_pool(engine, settings, pool, send) for pool in settings.pools)


def _dispatch_pool(engine: Engine, settings: Settings, pool: Pool, send: SendRun) -> int:
    total = 0
    while True:
        with transaction(engine) as session:
            wanted, kinds = room(session, settings, pool)
            limit = min(_BATCH, wanted)
            values = {"pool": pool.name, "kinds": kinds, "limit": limit}
            rows = session.execute(_NEXT, values).all() if limit else []
            for row in rows:
                sync.change(session, row.id, RunState.DISPATCHED, attempt=row.attempt)
            try:
                for row in rows:
                    send(row.kind, pool.name, row.id, row.attempt, row.traceparent)
            except Retryable as error:
                session.rollback()
                _log.warning("runs wait: the broker does not take messages", pool=pool.name, error=str(error))
                return total
        if rows:
            metrics.DISPATCHED.labels(pool.name).inc(len(rows))
            _log.info("dispatched", pool=pool.name, runs=[str(row.id) for row in rows])
        total += len(rows)
        if len(rows) < _BATCH:
            return total


def take_all(engine: Engine) -> list[tuple[str, UUID, int]]:
    """Eager mode: mark everything that is queued as dispatched and return it as (kind, run id, attempt)."""
    with transaction(engine) as session:
        rows = session.execute(
            text(
                "SELECT id, kind, attempt FROM runs WHERE state = 'queued' AND (not_before IS NULL OR "
                "not_before <= now()) ORDER BY priority DESC, queued_at FOR UPDATE SKIP LOCKED"
            )
        ).all()
        for row in rows:
            sync.change(session, row.id, RunState.DISPATCHED, attempt=row.attempt)
    return [(row.kind, row.id, row.attempt) for row in rows]

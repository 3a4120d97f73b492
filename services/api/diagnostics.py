"""`GET /v1/diagnostics`: what an operator's `faultline doctor` cannot see from outside. Facts only; it judges.

Every dependency is tried on its own and has seconds, not minutes, to answer: the route must work where they do not.
"""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.deps import OperatorDep, Parts, PartsDep
from shared.artifacts import ArtifactStore
from shared.contracts.diagnostics import (
    BrokerHealth,
    DatabaseHealth,
    DiagnosticsView,
    LoopHealth,
    PoolHealth,
    StoreHealth,
    WorkerHealth,
)
from shared.db.revision import REQUIRED_REVISION
from shared.db.session import transaction
from shared.errors import FaultlineError, Retryable
from shared.queue.app import STEPS_QUEUE, Sender
from shared.settings import Settings
from shared.version import VERSION

router = APIRouter(prefix="/v1", tags=["system"])
LOOPS = ("dispatcher", "reconciler")

_DATABASE = text(
    "SELECT extract(epoch FROM clock_timestamp()) AS now, (SELECT version_num FROM alembic_version) AS revision, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections, "
    "current_setting('max_connections')::int AS max_connections"
)
_WORKERS = text(
    """
    SELECT name, pools, slots, draining, version, clock_ahead_s,
        extract(epoch FROM now() - heartbeat_at) AS heartbeat_age_s,
        heartbeat_at > now() - make_interval(secs => :lease_s) AS alive,
        (SELECT count(*) FROM runs WHERE state = 'running' AND worker = workers.name) AS busy
    FROM workers ORDER BY name
    """
)
_QUEUED = text(
    "SELECT pool, count(*) AS queued, extract(epoch FROM now() - min(queued_at)) AS oldest_s FROM runs "
    "WHERE state = 'queued' AND (not_before IS NULL OR not_before <= now()) GROUP BY pool"
)
_PAUSED = text("SELECT name FROM pool_controls WHERE paused")
#: a background process names its connections, and asks something at every turn
_LOOP = text(
    "SELECT count(*) AS connections, "
    "extract(epoch FROM clock_timestamp() - max(state_change)) AS idle_s "
    "FROM pg_stat_activity WHERE application_name = :name AND datname = current_database()"
)
_EXPIRED = text(
    "SELECT count(*) FROM runs WHERE state = 'running' AND lease_expires_at < now() - interval '10 seconds'"
)


@router.get("/diagnostics")
def diagnostics(parts: PartsDep, _identity: OperatorDep) -> DiagnosticsView:
    """The health of everything that the platform consists of, as facts."""
    settings = parts.settings
    known: dict[str, Any] = {}
    database = _database(parts, known)
    return DiagnosticsView(
        version=VERSION,
        now=datetime.now(UTC),
        eager=settings.always_eager,
        lease_s=settings.lease_s,
        heartbeat_s=settings.heartbeat_s,
        database=database,
        broker=_broker(settings),
        store=_store(parts.store, settings.artifact_store_url),
        **known,
    )


def _timed(ask: Callable[[], None]) -> tuple[str | None, float]:
    """What went wrong, if anything did, and how long it took."""
    began = time.perf_counter()
    try:
        ask()
    except FaultlineError as error:
        return error.message[:500], time.perf_counter() - began
    except (SQLAlchemyError, OSError) as error:
        return f"{type(error).__name__}: {error}"[:500], time.perf_counter() - began
    return None, time.perf_counter() - began


def _database(parts: Parts, known: dict[str, Any]) -> DatabaseHealth:
    facts: dict[str, Any] = {}

    def ask() -> None:
        with transaction(parts.engine) as session:
            before = time.time()
            row = session.execute(_DATABASE).one()
            middle = (before + time.time()) / 2
            facts.update(
                revision=row.revision,
                clock_ahead_s=float(row.now) - middle,
                connections=row.connections,
                max_connections=row.max_connections,
            )
            known.update(_rows(session, parts.settings))

    error, seconds = _timed(ask)
    return DatabaseHealth(error=error, seconds=seconds, required_revision=REQUIRED_REVISION, **facts)


def _rows(session: Session, settings: Settings) -> dict[str, Any]:
    rows = session.execute(_WORKERS, {"lease_s": settings.lease_s}).mappings()
    workers = [WorkerHealth.model_validate(dict(row)) for row in rows]
    queued = {row.pool: row for row in session.execute(_QUEUED)}
    paused = set(session.scalars(_PAUSED))
    pools = []
    for pool in settings.pools:
        serving = [worker for worker in workers if pool.name in worker.pools and worker.alive and not worker.draining]
        waiting = queued.get(pool.name)
        pools.append(
            PoolHealth(
                name=pool.name,
                workers=len(serving),
                slots=sum(worker.slots for worker in serving),
                busy=sum(worker.busy for worker in serving),
                queued=waiting.queued if waiting else 0,
                oldest_queued_s=float(waiting.oldest_s) if waiting else None,
                paused=pool.name in paused,
            )
        )
    loops = []
    for name in LOOPS:
        row = session.execute(_LOOP, {"name": f"faultline {name}"}).one()
        idle_s = None if row.idle_s is None else float(row.idle_s)
        loops.append(LoopHealth(name=name, connections=row.connections, idle_s=idle_s))
    return {
        "workers": workers,
        "pools": pools,
        "loops": loops,
        "expired_leases": session.execute(_EXPIRED).scalar_one(),
    }


def _broker(settings: Settings) -> BrokerHealth:
    queues: dict[str, int] = {}
    sender = Sender(settings)

    def ask() -> None:
        for queue in (*(pool.name for pool in settings.pools), STEPS_QUEUE):
            queues[queue] = sender.depth(queue)

    error, seconds = _timed(ask)
    return BrokerHealth(
        error=error,
        seconds=seconds,
        queues=queues,
        visibility_timeout_s=sender.visibility_timeout_s,
        longest_step_s=settings.step_time_limit_s,
    )


def _store(store: ArtifactStore, url: str) -> StoreHealth:
    key, content = f"probes/{uuid7()}", b"written to see whether it can be"

    def ask() -> None:
        store.put(key, content)
        try:
            if store.read(key) != content:
                raise Retryable("what was written is not what is read")
        finally:
            store.delete([key])

    error, seconds = _timed(ask)
    parts = urlsplit(url)
    try:
        free = shutil.disk_usage(parts.path).free if parts.scheme == "file" else None
    except OSError:
        free = None
    return StoreHealth(error=error, seconds=seconds, scheme=parts.scheme, free_bytes=free)

"""What each pool has now: live slots, what holds them, what waits, and whether a person paused it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import RunState
from shared.db.listen import RUNS_CHANNEL
from shared.db.session import Executes
from shared.runs import sync
from shared.settings import Pool, Settings

#: Whoever picks or takes back runs of any pool holds this lock, so that slots and quotas are counted by one at a time.
_LOCK = 0x0FA1_7D15
_TRY = text("SELECT pg_try_advisory_xact_lock(:key)")
_WAIT = text("SELECT pg_advisory_xact_lock(:key)")

_ROOM = text(
    """
    WITH active AS MATERIALIZED (
        SELECT pool, worker, count(*) FILTER (WHERE state = 'running') AS running,
            count(*) FILTER (WHERE state = 'dispatched') AS unclaimed
        FROM runs WHERE state IN ('dispatched', 'running') GROUP BY pool, worker
    ), live AS (
        SELECT pools, kinds, slots, least(slots, coalesce(busy.runs, 0)) AS busy
        FROM workers LEFT JOIN (SELECT worker, sum(running) AS runs FROM active GROUP BY worker) AS busy
            ON busy.worker = workers.name
        WHERE NOT draining AND drain_requested_at IS NULL
            AND heartbeat_at > now() - make_interval(secs => :lease_s)
    )
    SELECT asked.name, asked.lead,
        coalesce((SELECT sum(slots) FROM live WHERE asked.name = ANY(pools)), 0) AS slots,
        coalesce((SELECT sum(busy) FROM live WHERE asked.name = ANY(pools)), 0) AS busy,
        coalesce((SELECT sum(unclaimed) FROM active WHERE pool = asked.name), 0) AS unclaimed,
        array(SELECT DISTINCT unnest(kinds) FROM live WHERE asked.name = ANY(pools)) AS kinds,
        coalesce(control.paused, false) AS paused, control.reason,
        (SELECT count(*) FROM (
            SELECT 1 FROM runs WHERE state = 'queued' AND pool = asked.name LIMIT :look
        ) AS queued) AS waiting
    FROM jsonb_to_recordset(CAST(:pools AS jsonb)) AS asked (name text, lead int)
        LEFT JOIN pool_controls AS control ON control.name = asked.name
    """
)


@dataclass(frozen=True)
class Room:
    """One pool as it stands."""

    name: str
    lead: int
    slots: int  #: of live workers that take work
    busy: int
    unclaimed: int  #: messages that no worker has taken yet
    kinds: list[str]  #: that a live worker has a body for
    paused: bool
    reason: str | None  #: why it is paused
    waiting: int  #: queued runs, due or not; counted up to a limit

    @property
    def wanted(self) -> int:
        """How many more messages it can use: its free slots and its lead, less what is unclaimed."""
        if self.paused or not self.slots:
            return 0
        return max(0, self.slots - self.busy + self.lead - self.unclaimed)


def rooms(session: Executes, settings: Settings, pools: Sequence[Pool], look: int) -> list[Room]:
    """The pools as they stand, in one statement; queued runs are counted up to `look`."""
    asked = orjson.dumps([{"name": pool.name, "lead": pool.lead} for pool in pools]).decode()
    rows = session.execute(_ROOM, {"pools": asked, "lease_s": settings.lease_s, "look": look}).mappings().all()
    found = {row["name"]: row for row in rows}
    counts = ("slots", "busy", "unclaimed")
    return [Room(**{**found[pool.name], **{name: int(found[pool.name][name]) for name in counts}}) for pool in pools]


def try_lock(session: Executes) -> bool:
    """Until the end of the transaction nobody else picks runs. False: somebody does."""
    return bool(session.execute(_TRY, {"key": _LOCK}).scalar())


_TYPICAL = text(
    """
    SELECT kind, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds FROM (
        SELECT kind, extract(epoch FROM finished_at - started_at) AS seconds FROM runs
        WHERE pool = :pool AND finished_at IS NOT NULL AND started_at IS NOT NULL AND state = 'succeeded'
        ORDER BY finished_at DESC LIMIT 500
    ) AS ended GROUP BY kind
    """
)


def typical_seconds(session: Session, pool: str) -> dict[str, float]:
    """By kind, the median length of the pool's last runs that succeeded."""
    return {row.kind: float(row.seconds) for row in session.execute(_TYPICAL, {"pool": pool})}


_CONTROL = text(
    """
    INSERT INTO pool_controls (name, paused, reason, changed_by) VALUES (:name, :paused, :reason, :by)
    ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, reason = excluded.reason,
        changed_by = excluded.changed_by, changed_at = now()
    """
)
_UNCLAIMED = text("SELECT id, attempt FROM runs WHERE state = 'dispatched' AND pool = :pool ORDER BY id FOR UPDATE")
_RING = text(f"SELECT pg_notify('{RUNS_CHANNEL}', 'pool')")


def pause(session: Session, pool: str, reason: str, by: UUID) -> int:
    """Send nothing more of a pool and take back what no worker has claimed. Returns how many runs that were.

    Runs that run go on. A message that is already in the broker is refused when it is claimed.
    """
    session.execute(_WAIT, {"key": _LOCK})
    session.execute(_CONTROL, {"name": pool, "paused": True, "reason": reason, "by": by})
    back: Sequence[Any] = session.execute(_UNCLAIMED, {"pool": pool}).all()
    return sum(
        sync.requeue(
            session,
            row.id,
            attempt=row.attempt,
            only_from=[RunState.DISPATCHED],
            reason="its pool was paused",
            same_attempt=True,
        )
        for row in back
    )


def resume(session: Session, pool: str, by: UUID) -> None:
    """Send the pool's runs again."""
    session.execute(_CONTROL, {"name": pool, "paused": False, "reason": None, "by": by})
    session.execute(_RING)

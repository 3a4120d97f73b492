"""Picks queued runs and rings the doorbell. The broker's queues stay short, so order is decided here, from rows.

A row is locked while its message is sent, and a claim takes a queued row too: one that comes faster than the commit
waits for it. A dispatcher that dies before it leaves the row queued: a message can go out twice but never be missing.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import structlog
from sqlalchemy import Engine, text

from shared.contracts.states import RunState
from shared.db.session import Executes, statements, transaction
from shared.errors import Retryable
from shared.observability import metrics
from shared.runs import order, pools, quotas, sync
from shared.runs.pools import Room
from shared.settings import Settings

_log = structlog.get_logger(__name__)
#: (kind, queue, run id, attempt, traceparent); raises `Retryable` while the broker is away.
SendRun = Callable[[str, str, UUID, int, str | None], None]
#: Sent per commit: the lock is held this long, and a claim may wait for it.
_BATCH = 20
#: GPU hours grow slowly and are dear to add up.
_GPU_LOOK_S = 10.0
#: Changes after which neither a slot nor a quota is freer than before.
_NO_NEWS = frozenset({RunState.DISPATCHED, RunState.RUNNING})

_EVERYTHING = text(
    "SELECT id, kind, attempt FROM runs WHERE state = 'queued' AND cancel_requested_at IS NULL "
    "AND (not_before IS NULL OR not_before <= now()) ORDER BY priority DESC, queued_at, id FOR UPDATE SKIP LOCKED"
)


class Dispatcher:
    """Any number may run: one at a time picks, so that room and quotas are never counted twice."""

    def __init__(self, engine: Engine, settings: Settings, send: SendRun) -> None:
        self._engine = engine
        self._settings = settings
        self._send = send
        self._barred: Sequence[UUID] = ()
        self._looked_s = float("-inf")
        self._full: set[str] = set()
        self._left = True

    def concerned(self, payloads: Iterable[str]) -> bool:
        """Whether a pass could send something after this news: a storm of it must not cost a pass for each piece."""
        return any(self._concerned(payload.split(" ")) for payload in payloads)

    def _concerned(self, parts: list[str]) -> bool:
        if len(parts) != 4:
            return True
        _run, _seq, state, pool = parts
        if state == RunState.QUEUED:
            self._left |= pool in self._full  # it waits for the next slot
            return pool not in self._full
        if state not in _NO_NEWS:
            self._full.discard(pool)  # a slot is free for what is queued next
            return self._left
        return False

    def once(self) -> int:
        """Send what the pools have room for. Returns how many messages went out."""
        sent = 0
        while True:
            batch = self._batch()
            sent += batch
            if batch < _BATCH:
                return sent

    def _batch(self) -> int:
        """Up to so many messages of all pools, in one commit. While another dispatcher picks, none."""
        self._look_at_hours()
        try:
            with statements(self._engine) as session:
                if not pools.try_lock(session):
                    self._left = True
                    return 0
                found = pools.rooms(session, self._settings, self._settings.pools, _BATCH + 1)
                picked = self._send_to(session, found)
        except Retryable as error:
            _log.warning("runs wait: the broker does not take messages", error=str(error))
            self._full, self._left = set(), True
            return 0
        self._remember(found, [pool for pool, _run in picked])
        if picked:
            _log.info("dispatched", runs=[str(run) for _pool, run in picked])
        return len(picked)

    def _send_to(self, session: Executes, rooms: Sequence[Room]) -> list[tuple[str, UUID]]:
        """Fill the pools, as (pool, run id); a worker is already on its way while its row is written."""
        picked: list[tuple[str, UUID]] = []
        for room in rooms:
            metrics.LIVE_SLOTS.labels(room.name).set(room.slots)
            limit = min(_BATCH - len(picked), room.wanted)
            if limit > 0 and room.waiting > 0:
                rows = order.pick(session, room.name, limit, room.kinds, self._barred_from(room.name))
                for row in rows:
                    self._send(row.kind, room.name, row.id, row.attempt, row.traceparent)
                sync.dispatched(session, [row.id for row in rows])  # counted when the next pool picks
                picked += [(room.name, row.id) for row in rows]
        return picked

    def _look_at_hours(self) -> None:
        if time.monotonic() - self._looked_s >= _GPU_LOOK_S:
            with transaction(self._engine) as session:
                self._barred = quotas.out_of_gpu_hours(session, self._settings)
            self._looked_s = time.monotonic()

    def _barred_from(self, pool: str) -> Sequence[UUID]:
        return self._barred if self._settings.pool(pool).resource_class == "gpu" else ()

    def _remember(self, found: Sequence[Room], picked: Sequence[str]) -> None:
        sent = Counter(picked)
        self._full = {room.name for room in found if room.wanted <= sent[room.name]}
        self._left = any(room.waiting > sent[room.name] for room in found)
        for pool, count in sent.items():
            metrics.DISPATCHED.labels(pool).inc(count)


def dispatch_once(engine: Engine, settings: Settings, send: SendRun) -> int:
    """One pass of a dispatcher. Returns how many messages went out."""
    return Dispatcher(engine, settings, send).once()


def take_all(engine: Engine) -> list[tuple[str, UUID, int]]:
    """Eager mode: mark everything that is queued as dispatched and return it as (kind, run id, attempt)."""
    with transaction(engine) as session:
        rows = session.execute(_EVERYTHING).all()
        sync.dispatched(session, [row.id for row in rows])
    return [(row.kind, row.id, row.attempt) for row in rows]

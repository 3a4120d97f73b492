"""Why does this run wait, behind how many, until when? Answered from rows when asked: a stored answer is soon wrong."""

import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.pools import Block, WaitView
from shared.contracts.states import TERMINAL, RunState
from shared.db.models import Run
from shared.runs import order, pools, quotas
from shared.runs.pools import Room
from shared.settings import Settings

#: A place behind so many others is not worked out.
_FAR = 10_000
_NOW = text("SELECT now()")
_QUOTA = text(
    "SELECT max_running, gpu_hours_per_day, (SELECT count(*) FROM runs WHERE project_id = projects.id "
    "AND state IN ('dispatched', 'running')) AS holding FROM projects WHERE id = :project"
)
_CHILDREN = text("SELECT count(*) FROM runs WHERE parent_id = :id AND state <> ALL(:ended)")
_RUNNING = text(
    "SELECT kind, eta_seconds, extract(epoch FROM now() - started_at) AS seconds FROM runs "
    "WHERE state = 'running' AND pool = :pool"
)


@dataclass(frozen=True)
class _Blocked:
    by: Block | None
    sentence: str
    room: Room | None = None
    barred: tuple[UUID, ...] = ()


def wait_sentence(session: Session, settings: Settings, run: Run) -> str | None:
    """Why a run has not started, in a sentence; None if it does not wait."""
    blocked = _blocked(session, settings, run)
    return blocked.sentence if blocked.by is not None else None


def explain(session: Session, settings: Settings, run: Run) -> WaitView:
    """The whole answer for one run."""
    blocked = _blocked(session, settings, run)
    ahead, start_at = None, None
    room = blocked.room
    if room is not None and run.state == RunState.QUEUED:
        ahead = order.ahead_of(session, run.id, run.pool, room.kinds, blocked.barred, _FAR)
    if room is not None and blocked.by in _ESTIMATED:
        behind = (ahead or 0) + room.unclaimed - (run.state == RunState.DISPATCHED)
        known = ahead is not None or blocked.by in {Block.DISPATCHED, Block.NOT_BEFORE, Block.RETRY_BACKOFF}
        start_at = _estimate(session, run, room, behind) if known else None
    return WaitView(
        run_id=run.id,
        state=RunState(run.state),
        blocked_by=blocked.by,
        sentence=blocked.sentence,
        ahead=ahead,
        estimated_start_at=start_at,
    )


_ESTIMATED = {Block.SLOTS_BUSY, Block.NOTHING, Block.DISPATCHED, Block.NOT_BEFORE, Block.RETRY_BACKOFF}
_STATES = {
    RunState.RUNNING: "It runs.",
    RunState.PREEMPTED: "Its worker left; it is about to queue again.",
}


def _blocked(session: Session, settings: Settings, run: Run) -> _Blocked:
    state = RunState(run.state)
    if state == RunState.QUEUED:
        return _queued(session, settings, run)
    if state == RunState.DISPATCHED:
        sentence = "Its message is sent; a worker takes it when a slot is free."
        return _Blocked(Block.DISPATCHED, sentence, _room(session, settings, run.pool))
    if state == RunState.WAITING:
        left = session.execute(_CHILDREN, {"id": run.id, "ended": sorted(TERMINAL)}).scalar_one()
        return _Blocked(Block.PARENT_WAITING, f"It waits for {left} of its children to end.")
    if state == RunState.PAUSED:
        return _Blocked(Block.PAUSED, "It is paused; resume it.")
    return _Blocked(None, _STATES.get(state, f"It has ended: {state}."))


def _room(session: Session, settings: Settings, name: str) -> Room | None:
    here = [pool for pool in settings.pools if pool.name == name]
    return pools.rooms(session, settings, here, 1)[0] if here else None


def _queued(session: Session, settings: Settings, run: Run) -> _Blocked:
    room = _room(session, settings, run.pool)
    if room is None:
        return _Blocked(Block.NO_WORKER, f"The server's settings have no pool {run.pool!r} any more.")
    if room.paused:
        return _Blocked(Block.POOL_PAUSED, f"The pool {run.pool!r} is paused: {room.reason}")
    if run.kind not in room.kinds:
        by = Block.KIND_NOT_SERVED if room.slots else Block.NO_WORKER
        return _Blocked(by, f"No live worker of the pool {run.pool!r} serves {run.kind}.")
    now = session.execute(_NOW).scalar_one()
    if run.not_before is not None and run.not_before > now:
        by = Block.RETRY_BACKOFF if run.attempt > 1 else Block.NOT_BEFORE
        why = f"Attempt {run.attempt} waits" if run.attempt > 1 else "It was asked to wait"
        return _Blocked(by, f"{why} until {run.not_before.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.", room)
    gpu = settings.pool(run.pool).resource_class == "gpu"
    barred = tuple(quotas.out_of_gpu_hours(session, settings)) if gpu else ()
    quota = session.execute(_QUOTA, {"project": run.project_id}).one()
    if quota.max_running is not None and quota.holding >= quota.max_running:
        return _Blocked(
            Block.QUOTA_RUNNING, f"The project holds {quota.holding} slots and may hold {quota.max_running}."
        )
    if run.project_id in barred:
        hours = f"{quota.gpu_hours_per_day:g} GPU hours of the last 24 hours"
        return _Blocked(Block.QUOTA_GPU_HOURS, f"The project used its {hours}.")
    if room.wanted == 0:
        return _Blocked(Block.SLOTS_BUSY, f"All {room.slots} slots of the pool {run.pool!r} are taken.", room, barred)
    return _Blocked(Block.NOTHING, "It is about to be sent.", room, barred)


def _estimate(session: Session, run: Run, room: Room, behind: int) -> datetime | None:
    typical_s = pools.typical_seconds(session, run.pool)
    running = session.execute(_RUNNING, {"pool": run.pool}).all()
    if not room.slots or any(row.kind not in typical_s and row.eta_seconds is None for row in running):
        return None
    known = [typical_s[row.kind] for row in running if row.kind in typical_s] or list(typical_s.values())
    if not known:
        return None
    left_s = [
        row.eta_seconds if row.eta_seconds is not None else max(0.0, typical_s[row.kind] - float(row.seconds))
        for row in running
    ]
    wait_s = estimate_wait_s(left_s, room.slots, behind, sum(known) / len(known))
    now: datetime = session.execute(_NOW).scalar_one()
    at = now + timedelta(seconds=wait_s)
    return at if run.not_before is None else max(at, run.not_before)


def estimate_wait_s(left_s: list[float], slots: int, behind: int, typical_s: float) -> float:
    """Seconds until a run starts that stands behind `behind` others, each of `typical_s`.

    `left_s`: what those that run now still need; a slot without one is free.
    """
    ends_s = sorted(left_s)[: max(slots, 1)] + [0.0] * max(0, slots - len(left_s))
    heapq.heapify(ends_s)
    for _ in range(behind):
        heapq.heapreplace(ends_s, ends_s[0] + typical_s)
    return ends_s[0]

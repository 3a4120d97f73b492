"""What is asked and told about pools, and why a run waits."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, View
from shared.contracts.states import RunState


class PauseRequest(Contract):
    """Why nothing more of a pool is to be sent; shown to everyone whose run waits for it."""

    reason: str = Field(min_length=1, max_length=300)


class PoolView(View):
    """One pool over all projects: counts only."""

    name: str
    resource_class: Literal["cpu", "gpu"]
    lead: int
    slots: int  #: of live workers that take work
    busy: int
    states: dict[RunState, int]  #: how many runs of it are in each state that is not an end
    oldest_queued_seconds: float | None  #: since when the oldest due run waits
    ended_last_hour: int
    median_seconds: dict[str, float]  #: by kind, of its last runs that succeeded
    paused: bool
    reason: str | None
    changed_at: datetime | None  #: when it was last paused or resumed


class Block(StrEnum):
    """What keeps a run from starting."""

    POOL_PAUSED = "pool_paused"
    NO_WORKER = "no_worker"
    KIND_NOT_SERVED = "kind_not_served"
    NOT_BEFORE = "not_before"
    RETRY_BACKOFF = "retry_backoff"
    QUOTA_RUNNING = "quota_running"
    QUOTA_GPU_HOURS = "quota_gpu_hours"
    SLOTS_BUSY = "slots_busy"
    NOTHING = "nothing"  #: it is about to be sent
    DISPATCHED = "dispatched"  #: it is sent; a worker takes it when a slot is free
    PARENT_WAITING = "parent_waiting"  #: it waits for its children
    PAUSED = "paused"  #: somebody set it aside


class WaitView(View):
    """Why a run has not started."""

    run_id: UUID
    state: RunState
    blocked_by: Block | None  #: None: it does not wait
    sentence: str
    #: runs that are sent before it, in the dispatcher's order; None: it is not in that order now, or far behind
    ahead: int | None
    estimated_start_at: datetime | None  #: from what its pool's last runs took; None: nothing to go by

"""The states of a run and the edges between them, as data. `shared.runs.sync` is their only writer."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"  #: committed, waits for a slot
    DISPATCHED = "dispatched"  #: message sent, nobody has claimed it yet
    RUNNING = "running"  #: exactly one attempt holds the claim
    WAITING = "waiting"  #: a parent on its children: no lease, no slot
    PREEMPTED = "preempted"  #: its worker left; checkpointed, about to queue again
    PAUSED = "paused"  #: set aside by its owner, holds no slot
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"  #: crashed too often; a person must look


TERMINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.QUARANTINED})

#: A run begins in the queue, a parent on its children.
BEGINNINGS = (RunState.QUEUED, RunState.WAITING)

_ENDS = frozenset({RunState.CANCELLED, RunState.QUARANTINED})

EDGES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.DISPATCHED, RunState.RUNNING, RunState.PAUSED}) | _ENDS,
    RunState.DISPATCHED: frozenset({RunState.RUNNING, RunState.QUEUED, RunState.PAUSED}) | _ENDS,
    RunState.RUNNING: frozenset(
        {
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.WAITING,
            RunState.QUEUED,
            RunState.PREEMPTED,
            RunState.PAUSED,
        }
    )
    | _ENDS,
    RunState.WAITING: frozenset({RunState.QUEUED, RunState.SUCCEEDED, RunState.FAILED}) | _ENDS,
    RunState.PREEMPTED: frozenset({RunState.QUEUED, RunState.PAUSED}) | _ENDS,
    RunState.PAUSED: frozenset({RunState.QUEUED}) | _ENDS,
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
    RunState.QUARANTINED: frozenset(),
}

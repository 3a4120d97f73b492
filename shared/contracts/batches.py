"""Many runs as one: what is asked for, and what its parent run returns."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, View
from shared.contracts.views import LabelKey, LabelValue, SubmitRequest

BATCH = "batch"
Policy = Literal["all", "any", "best_effort"]


class BatchRequest(Contract):
    """`all`: the first run that does not succeed ends the batch; `any`: the first that succeeds does; `best_effort`:
    every run is tried and one success is enough. What a decided batch still has open is cancelled.

    Labels are given to every run, a run's own outweigh them; so does a run's own priority.
    """

    runs: list[SubmitRequest] = Field(min_length=1, max_length=1000)
    policy: Policy = "all"
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=32)
    priority: int = Field(0, ge=-100, le=100)


class ChildError(View):
    """Why one run of a batch did not succeed."""

    run_id: UUID
    type: str
    message: str


class BatchResult(View):
    """How the runs of a batch ended: `result` of one that succeeded, `partial` of one that did not."""

    total: int
    succeeded: int
    failed: int
    cancelled: int
    quarantined: int
    errors: list[ChildError]  #: the first ones
    successes: list[UUID]  #: the first ones

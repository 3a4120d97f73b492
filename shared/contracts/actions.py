"""One action on many runs, and what came of it; failures by family."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, View

Action = Literal["cancel", "pause", "resume", "retry"]


class ActionRequest(Contract):
    """Do the same to each of these runs; what cannot be done to one is said and does not stop the others."""

    action: Action
    run_ids: list[UUID] = Field(min_length=1, max_length=1000)


class Refusal(View):
    """A run to which it could not be done, and why."""

    run_id: UUID
    reason: str


class ActionResult(View):
    """What was done, and what was not."""

    done: list[UUID]
    refused: list[Refusal]
    made: dict[UUID, UUID] = Field(default_factory=dict)  #: of a retry: old run -> new run


class FailureGroup(View):
    """Failed and quarantined runs whose trouble looks the same."""

    signature: str
    count: int
    not_retried: int
    kinds: list[str]
    cause: str
    message: str  #: of the newest one
    oldest: datetime
    newest: datetime
    run_ids: list[UUID]  #: the newest ones


class FamilyRetried(View):
    """What retrying a family made; `left` are still to be retried, by another request."""

    run_ids: list[UUID]
    refused: list[Refusal]
    left: int

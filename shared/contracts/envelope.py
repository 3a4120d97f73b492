"""The only shape of a finished run."""

from typing import Any
from uuid import UUID

from pydantic import Field, model_validator

from shared.contracts.base import View


class ErrorInfo(View):
    """What a client learns of a failure; the traceback stays in the logs, found by `error_id`."""

    type: str
    message: str
    remedy: str
    error_id: str
    cause: str | None = None  #: one of `Cause`; a later release may know more
    where: str | None = None  #: innermost function of our own code, if the error came out of one


class Envelope(View):
    """Result of one run: either `result` or `error`, never both."""

    success: bool
    run_id: UUID
    attempt: int
    task_id: str
    kind: str
    duration_seconds: float = Field(ge=0)
    stage_seconds: dict[str, float] = Field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: ErrorInfo | None = None
    partial: dict[str, Any] | None = None  #: what the children of a parent did although it did not succeed

    @model_validator(mode="after")
    def _result_or_error(self) -> "Envelope":
        if self.success != (self.error is None) or self.success != (self.result is not None):
            raise ValueError("an envelope holds a result if it succeeded and an error if it did not")
        return self

"""From an exception, or from a cause that has none, to what a client may know of it."""

from uuid import uuid4

from shared.contracts.base import storable
from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.db.models import Run
from shared.errors import FaultlineError, Retryable, TooLarge, UserError
from shared.runs.signature import deepest_own_frame


def error_info(error: BaseException) -> ErrorInfo:
    """Type, message, remedy and cause; an unforeseen error keeps its details in the logs, under the error id."""
    where = deepest_own_frame(error)
    if isinstance(error, FaultlineError):
        return named_cause(type(error).__name__, error.message, error.remedy, _cause(error), where)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter is torch's, of a GPU
        return named_cause(
            "OutOfMemory",
            f"The run needed more memory than its worker has. {str(error)[:300]}".strip(),
            "Ask for less at once, or run it in a pool with more memory.",
            Cause.OUT_OF_MEMORY,
            where,
        )
    return named_cause(
        type(error).__name__,
        f"The run failed with an unforeseen {type(error).__name__}: {str(error)[:300]}",
        "Look up the error id in the run's log (`faultline runs logs <run>`); please report it.",
        Cause.BUG,
        where,
    )


def _cause(error: FaultlineError) -> Cause:
    if isinstance(error, TooLarge):
        return Cause.TOO_LARGE
    if isinstance(error, UserError):
        return Cause.BAD_INPUT
    return Cause.DEPENDENCY_DOWN if isinstance(error, Retryable) else Cause.BUG


def named_cause(
    type_: str, message: str, remedy: str, cause: Cause | None = None, where: str | None = None
) -> ErrorInfo:
    """An error as clients see it. Only a cancel has no cause."""
    return ErrorInfo(
        type=type_,
        message=storable(message[:2000]),
        remedy=storable(remedy[:2000]),
        error_id=uuid4().hex[:12],
        cause=cause,
        where=where,
    )


def cancelled() -> ErrorInfo:
    """The error of a run that was cancelled."""
    return named_cause("Cancelled", "The run was cancelled on request.", "Submit it again if it is still wanted.")


def failure(run: Run, error: ErrorInfo) -> Envelope:
    """The envelope of a run that ended without an attempt to speak for it."""
    return Envelope(
        success=False,
        run_id=run.id,
        attempt=run.attempt,
        task_id=f"{run.id}:{run.attempt}",
        kind=run.kind,
        duration_seconds=0.0,
        error=error,
    )

"""From an exception, or from a cause that has none, to what a client may know of it."""

from uuid import uuid4

from shared.contracts.base import storable
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.db.models import Run
from shared.errors import FaultlineError


def error_info(error: BaseException) -> ErrorInfo:
    """Type, message and remedy; an unforeseen error keeps its details in the logs, under the error id."""
    if isinstance(error, FaultlineError):
        return named_cause(type(error).__name__, error.message, error.remedy)
    if isinstance(error, MemoryError):
        return named_cause("OutOfMemory", "The run needed more memory than its worker has.", "Ask for less at once.")
    return named_cause(
        type(error).__name__,
        f"The run failed with an unforeseen {type(error).__name__}: {str(error)[:300]}",
        "Look up the error id in the run's log (`faultline runs logs <run>`); please report it.",
    )


def named_cause(type_: str, message: str, remedy: str) -> ErrorInfo:
    """An error that is known by its cause: time limit, cancel, killed by a signal, lost worker."""
    return ErrorInfo(
        type=type_, message=storable(message[:2000]), remedy=storable(remedy[:2000]), error_id=uuid4().hex[:12]
    )


CANCELLED = ("Cancelled", "The run was cancelled on request.", "Submit it again if it is still wanted.")


def failure(run: Run, cause: tuple[str, str, str]) -> Envelope:
    """The envelope of a run that ended without an attempt to speak for it."""
    return Envelope(
        success=False,
        run_id=run.id,
        attempt=run.attempt,
        task_id=f"{run.id}:{run.attempt}",
        kind=run.kind,
        duration_seconds=0.0,
        error=named_cause(*cause),
    )

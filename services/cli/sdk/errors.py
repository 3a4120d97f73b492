"""What can go wrong between a client and the API, each with its remedy.

try:
    client.train(spec)
except ApiConflict as error:      # the name is taken
    print(error.message, error.remedy, error.error_id)
"""

from typing import Any, ClassVar

from shared.contracts.views import Problem, RunView
from shared.errors import FaultlineError


class ApiError(FaultlineError):
    """The API refused a request or failed to carry it out."""

    def __init__(self, problem: Problem, *, retry_after_s: float | None = None) -> None:
        super().__init__(problem.detail, remedy=problem.remedy)
        self.problem = problem
        self.retry_after_s = retry_after_s  #: how long the server asks to wait, if it says so

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.problem.status

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        return self.problem.title

    @property
    def errors(self) -> list[dict[str, Any]]:
        """One entry per field that was refused."""
        return self.problem.errors

    @property
    def error_id(self) -> str | None:
        """What to look for in the server's logs."""
        return self.problem.error_id


class ApiUnauthorized(ApiError):
    """The key is missing, unknown, expired or revoked (401)."""


class ApiForbidden(ApiError):
    """The key's owner may not do this (403)."""


class ApiNotFound(ApiError):
    """There is no such thing in this project (404)."""


class ApiConflict(ApiError):
    """The request does not fit the present state: a name is taken, a run has ended (409, 412)."""


class ApiInvalid(ApiError):
    """The request is not one that can be carried out (400, 413, 422)."""


class ApiBusy(ApiError):
    """Too many requests in too short a time (429)."""


class ApiFailed(ApiError):
    """The server could not do its part (5xx)."""


class Errors:
    """Which error stands for which status."""

    by_status: ClassVar[dict[int, type[ApiError]]] = {
        400: ApiInvalid,
        401: ApiUnauthorized,
        403: ApiForbidden,
        404: ApiNotFound,
        409: ApiConflict,
        412: ApiConflict,
        413: ApiInvalid,
        422: ApiInvalid,
        429: ApiBusy,
    }

    @classmethod
    def of(cls, problem: Problem, retry_after_s: float | None = None) -> ApiError:
        """The error of a problem."""
        kind = ApiFailed if problem.status >= 500 else cls.by_status.get(problem.status, ApiError)
        return kind(problem, retry_after_s=retry_after_s)


class NotReachable(FaultlineError):
    """The API does not answer."""

    remedy = "Start a local stack with `faultline up`, or point at a running one with `faultline login --url URL`."


class Damaged(FaultlineError):
    """What came is not what the server says it has."""

    remedy = "Fetch it again; if it stays so, the file in the store is damaged: tell whoever runs the server."


class RunFailed(FaultlineError):
    """A run ended without success."""

    def __init__(self, run: RunView) -> None:
        self.run = run
        error = run.envelope.error if run.envelope else None
        if error is not None:
            super().__init__(error.message, remedy=error.remedy)
            self.error_id: str | None = error.error_id
            return
        super().__init__(
            f"The run ended as {run.state.value}.", remedy=f"`faultline runs logs {run.id}` shows its log."
        )
        self.error_id = None

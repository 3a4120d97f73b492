"""What can go wrong between a client and the API, each with its remedy."""

from typing import Any

from shared.contracts.views import Problem, RunView
from shared.errors import FaultlineError


class ApiError(FaultlineError):
    """The API refused a request or failed to carry it out."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail, remedy=problem.remedy)
        self.problem = problem

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


class NotReachable(FaultlineError):
    """The API does not answer."""

    remedy = "Start a local stack with `faultline up`, or point at a running one with `faultline login --url URL`."


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

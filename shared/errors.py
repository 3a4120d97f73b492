"""Errors split by who must act: the caller (`UserError`), time (`Retryable`), or us (`Fatal`).

The class docstring is the default message; `remedy` says what to do about it.
"""


class FaultlineError(Exception):
    """Something went wrong in Faultline."""

    remedy: str = "Look up the error id in the logs."

    def __init__(self, message: str | None = None, *, remedy: str | None = None) -> None:
        text = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(text)
        self.message = text
        if remedy is not None:
            self.remedy = remedy


class UserError(FaultlineError):
    """The request cannot be carried out as it was made."""

    status_code: int = 422
    remedy = "Correct the request and send it again."


class Unauthorized(UserError):
    """The API key is missing, unknown, expired or revoked."""

    status_code = 401
    remedy = "Send `Authorization: Bearer <key>`, or run `faultline login`."


class Forbidden(UserError):
    """The caller may not do this."""

    status_code = 403
    remedy = "Use a key of somebody who may, or ask an admin of the project for the role."


class NotFound(UserError):
    """There is no such thing in this project."""

    status_code = 404
    remedy = "Check the id; `faultline runs list` and `faultline datasets list` show what exists."


class Conflict(UserError):
    """The request does not fit the present state."""

    status_code = 409


class Stale(UserError):
    """What was to be changed is not any more as it was seen."""

    status_code = 412
    remedy = "Read it again, and send the request with its new ETag if the change is still wanted."


class Unsupported(UserError):
    """The body is of a kind that this route does not read."""

    status_code = 415


class NotReady(Conflict):
    """The input is still being made, or making it did not succeed."""

    remedy = "Wait for its run to succeed (`faultline runs watch <run>`), then submit again."


class TooLarge(UserError):
    """The request is larger than this server accepts."""

    status_code = 413
    remedy = "Send less at once, or raise the limit in the server's settings."


class QuotaExceeded(UserError):
    """The project has used up what it may use."""

    status_code = 429
    remedy = "Wait, or ask an operator for a higher quota."


class Retryable(FaultlineError):
    """A dependency is away for the moment."""

    remedy = "Nothing to do: it is tried again."

    def __init__(self, message: str | None = None, *, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class StoreAway(Retryable):
    """The artifact store does not take or give files now."""

    remedy = "Free space in the store, or bring it back; then try again."


class Fatal(FaultlineError):
    """A promise of the system does not hold; a person must look."""

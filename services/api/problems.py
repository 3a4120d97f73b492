"""One error shape for everything that goes wrong: RFC 9457 with a remedy."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from services.api.edge import edge_headers
from shared.contracts.views import Problem
from shared.errors import FaultlineError, Retryable, Unauthorized, UserError

_log = structlog.get_logger(__name__)
_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
}
_TITLES |= {412: "Changed meanwhile", 415: "Unsupported kind of body", 429: "Too many requests"}
_TITLES |= {413: "Too large", 422: "Not acceptable as it is", 500: "Server error", 503: "Not available now"}


def problem(
    status: int,
    detail: str,
    remedy: str,
    errors: list[dict[str, Any]] | None = None,
    error_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer for an error."""
    body = Problem(
        title=_TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        remedy=remedy,
        errors=errors or [],
        error_id=error_id,
    )
    return Response(
        body.model_dump_json(exclude_none=True), status, media_type="application/problem+json", headers=headers
    )


def refused(error: UserError) -> Response:
    """The answer for what the caller must change."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
    return problem(error.status_code, error.message, error.remedy, headers=headers)


def readable(errors: Sequence[Any]) -> list[dict[str, Any]]:
    """Pydantic's findings without what the caller sent: where, and what is wrong."""
    return [
        {"where": ".".join(str(part) for part in error["loc"])[:200], "message": str(error["msg"])[:300]}
        for error in errors[:20]
    ]


def install(app: FastAPI) -> None:
    """Answer every exception in the one shape."""

    @app.exception_handler(UserError)
    def user_error(_request: Request, error: UserError) -> Response:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_request: Request, error: RequestValidationError) -> Response:
        found = readable(error.errors())
        first = f"{found[0]['where']}: {found[0]['message']}" if found else "the request is not valid"
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return problem(422, f"{first}{more}.", "Correct the fields named in `errors` and send again.", found)

    @app.exception_handler(HTTPException)
    def http(_request: Request, error: HTTPException) -> Response:
        remedy = "Send valid JSON in UTF-8, or a multipart form with one `file`."
        if error.status_code in {404, 405}:
            remedy = "See /docs for the routes of this server."
        return problem(error.status_code, str(error.detail), remedy, headers=dict(error.headers or {}))

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    def away(_request: Request, error: Exception) -> Response:
        _log.warning("the database is away", error=str(error)[:300])
        return problem(503, "The database does not answer now.", "Try again soon.", headers={"Retry-After": "2"})

    @app.exception_handler(Retryable)
    def later(_request: Request, error: Retryable) -> Response:
        return problem(503, error.message, error.remedy, headers={"Retry-After": str(math.ceil(error.delay_s))})

    @app.exception_handler(FaultlineError)
    @app.exception_handler(DBAPIError)
    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        error_id = uuid4().hex[:12]
        _log.error("request failed", error_id=error_id, exc_info=error)
        return problem(
            500,
            "The server failed to answer.",
            "Please report the error id; it is in the log.",
            error_id=error_id,
            headers=edge_headers(request.scope),
        )

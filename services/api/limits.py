"""Counts the bytes of a request body as they come, and the seconds of each request."""

import re
import time
from collections.abc import Callable

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.part_sizes import part_bytes_for
from services.api.problems import problem, refused
from shared.errors import UserError
from shared.observability import metrics
from shared.observability.tracing import span

UPLOADS = "/v1/uploads"
_PART = re.compile(r"/v1/uploads/sessions/[^/]+/parts/[^/]+")


class _TooLong(Exception):
    pass


class BodyLimit:
    """Refuses a body that is longer than allowed, at the latest when the byte too many arrives."""

    def __init__(self, app: ASGIApp, body_limit_bytes: int, upload_limit_bytes: int) -> None:
        self._app = app
        self._body_limit_bytes = body_limit_bytes
        self._upload_limit_bytes = upload_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return await problem(400, "The address holds a NUL character.", "Remove it.")(scope, receive, send)
        encoding = dict(scope["headers"]).get(b"content-encoding", b"identity").decode("latin-1").lower()
        if encoding != "identity":  # nothing is unpacked, so nothing can grow
            answer = problem(415, f"Content-Encoding: {encoding[:40]!r} is not read here.", "Send the body as it is.")
            return await answer(scope, receive, send)
        limit = self._limit(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        answered = False
        if not declared.isdigit() or int(declared) > limit:
            return await _refuse(limit)(scope, receive, send)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _TooLong
            return message

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            return await self._app(scope, counted, watched)
        except _TooLong:
            if not answered:
                await _refuse(limit)(scope, receive, send)
        return None

    def _limit(self, path: str) -> int:
        if path == UPLOADS:
            return self._upload_limit_bytes + 65_536
        return part_bytes_for(self._upload_limit_bytes) if _PART.fullmatch(path) else self._body_limit_bytes


def _refuse(limit: int) -> ASGIApp:
    return problem(
        413,
        f"The body is longer than {limit} bytes.",
        "Send less at once, or raise FAULTLINE_BODY_LIMIT_BYTES or FAULTLINE_UPLOAD_LIMIT_BYTES.",
        headers={"Connection": "close"},
    )


class UploadsNeedAKey:
    """Refuses an upload by its header, before the form is read: FastAPI reads a form before it asks who sends it."""

    def __init__(self, app: ASGIApp, check: Callable[[HTTPConnection], object]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"] == UPLOADS and scope["method"] == "POST":
            try:
                await to_thread.run_sync(self._check, HTTPConnection(scope))
            except UserError as error:
                return await refused(error)(scope, receive, send)
        return await self._app(scope, receive, send)


class Observed:
    """A span and a duration per request, by route template so that ids do not make series."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began_s, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        headers = dict(scope["headers"])
        try:
            with span(f"{scope['method']} {scope['path'][:100]}", traceparent=_text(headers.get(b"traceparent"))):
                await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            labels = (scope["method"] if scope["method"] in _METHODS else "other", route, str(status))
            metrics.REQUEST_SECONDS.labels(*labels).observe(time.perf_counter() - began_s)
        return None


_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}


def _text(value: bytes | None) -> str | None:
    return value.decode("ascii", "ignore") if value else None

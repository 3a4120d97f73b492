"""What every answer has, whatever becomes of the request: an id to ask about it with, and headers that keep it safe."""

import re
from collections.abc import Iterator
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability.logs import bound_ids

#: An id that a client or a gateway made is kept if it is harmless in a log.
_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_PAGES = ("/docs", "/redoc")  #: the only answers that are shown by a browser and load scripts
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_CONTENT = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
#: Answers belong to who asked: nobody on the way keeps them, unless the route says otherwise.
_PRIVATE = (b"cache-control", b"no-store")


class Edge:
    """The outermost layer: gives each request its id, in its answer and in every line of its log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _request_id(scope)
        scope["faultline.request_id"] = request_id

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_missing(scope, message.get("headers", ()))]
            await send(message)

        with bound_ids(request_id=request_id):
            await self._app(scope, receive, watched)
        return None


def edge_headers(scope: Scope) -> dict[str, str]:
    """The same headers for the answer to an exception that nobody foresaw: it is made outside of all layers."""
    return {name.decode(): value.decode() for name, value in _missing(scope, ())}


def _request_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return given[0].decode() if len(given) == 1 and _ID.fullmatch(given[0]) else uuid4().hex


def _missing(scope: Scope, headers: "list[tuple[bytes, bytes]] | tuple[()]") -> Iterator[tuple[bytes, bytes]]:
    there = {name.lower() for name, _value in headers}
    wanted = [(b"x-request-id", scope.get("faultline.request_id", "").encode()), *_SAFE, _PRIVATE]
    if not scope["path"].startswith(_PAGES):
        wanted.append(_NO_CONTENT)
    return ((name, value) for name, value in wanted if name not in there and value)

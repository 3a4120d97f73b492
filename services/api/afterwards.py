"""An answer that takes hours goes on outside of all layers: then none of them, and nothing of its request, is kept for
so long. And few are begun at a time: thousands come back at once when a server starts again, and what they would all
need for a moment leaves holes in the memory that stay. Both together are most of what a stream costs.
"""

from asyncio import Semaphore
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

Rest = Callable[[Receive, Send], Awaitable[None]]
_REST = "faultline.rest"


def do_afterwards(scope: Scope, rest: Rest) -> None:
    """Leave the rest of an answer, which has begun, to be sent once all layers have returned."""
    scope[_REST] = rest


def is_stream(scope: Scope) -> bool:
    """Whether it is asked for something that goes on until somebody hangs up."""
    return bool(scope["type"] == "http" and scope["method"] == "GET" and scope["path"].endswith("/events"))


class Application(FastAPI):
    """FastAPI, and what its answers have left for afterwards. Begins `openings` streams at a time; the others wait."""

    def __init__(self, openings: int, **fastapi: Any) -> None:
        super().__init__(**fastapi)
        self._openings = Semaphore(openings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with self._openings if is_stream(scope) else nullcontext():
            rest = await _begun(super().__call__, scope, receive, send)
        if rest is not None:
            await rest(receive, send)


async def _begun(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> Rest | None:
    """What is left to be done. The server keeps its scope as long as the connection, so the layers get a copy."""
    scope = dict(scope)
    await app(scope, receive, send)
    rest: Rest | None = scope.get(_REST)
    return rest

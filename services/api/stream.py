"""Server-sent events: one task for each open stream, frames that are made once for all who read them.

A mailbox stands between the hub's thread, which fills it, and the stream, which empties it. It is bounded: who does
not read is handed nothing more, keeps its place in the rows, and is served from there when it reads again.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import orjson
from fastapi import Response
from starlette.types import Receive, Scope, Send

from services.api.afterwards import do_afterwards
from shared.observability import metrics

#: What may wait for one reader; the newest frame may pass it, so that a large one is not stuck for ever.
MAILBOX_BYTES = 32_768
HEARTBEAT_S = 15.0
_HEARTBEAT = b": still here\n\n"


def frame(event: str, data: Any, id_: str | None = None) -> bytes:
    """One message as it goes over the wire; `data` becomes JSON, which has no line breaks."""
    head = f"event: {event}\n" if id_ is None else f"event: {event}\nid: {id_}\n"
    return b"".join([head.encode(), b"data: ", orjson.dumps(data, default=str), b"\n\n"])


class Mailbox:
    """What waits for one reader. `offered` belongs to the hub's thread, all else to the event loop."""

    __slots__ = ("_chunks", "_closed", "_loop", "_taken", "_wake", "offered")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []  #: an empty deque is 0.7 KiB
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self._taken = 0
        self.offered = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where `put` and `close` must be called."""
        return self._loop

    @property
    def room(self) -> int:
        """Bytes that may still be handed over; safe from any thread."""
        return MAILBOX_BYTES - (self.offered - self._taken)

    def put(self, chunk: bytes) -> None:
        """Hand over, in order."""
        self._chunks.append(chunk)
        self._ring()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._ring()

    async def take(self) -> bytes | None:
        """All that waits, as one; None once there is nothing and nothing more comes."""
        while not self._chunks:
            if self._closed:
                return None
            self._wake = self._loop.create_future()
            await self._wake
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._taken += len(chunk)
        return chunk

    def is_idle(self) -> bool:
        """Whether the reader waits."""
        return self._wake is not None and not self._wake.done()

    def beat(self) -> None:
        """Let the peer, and all between, see that the stream lives."""
        self._taken -= len(_HEARTBEAT)
        self.put(_HEARTBEAT)

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class EventStream(Response):
    """Sends what comes into a mailbox until it is closed or the client has gone; then `at_end` is called."""

    media_type = "text/event-stream"

    def __init__(
        self, mailbox: Mailbox, at_end: Callable[[], None], first: bytes = b"", status_code: int = 200
    ) -> None:
        super().__init__(status_code=status_code)
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"
        self._mailbox = mailbox
        self._at_end = at_end
        self._first = first

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """See ASGI. Begins the answer; it goes on outside of all layers."""
        with ExitStack() as undo:
            undo.callback(self._at_end)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first or b": welcome\n\n", "more_body": True})
            undo.pop_all()
        do_afterwards(scope, partial(_follow, self._mailbox, self._at_end))


async def _follow(mailbox: Mailbox, at_end: Callable[[], None], receive: Receive, send: Send) -> None:
    gone = asyncio.ensure_future(_gone(receive))
    gone.add_done_callback(lambda _: mailbox.close())
    beat = _Heart(mailbox)
    metrics.WATCHERS.inc()
    try:
        while (chunk := await mailbox.take()) is not None and not gone.done():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        metrics.WATCHERS.dec()
        beat.stop()
        gone.cancel()
        at_end()


class _Heart:
    """A timer for each stream: a mailbox whose reader waits is beaten every `HEARTBEAT_S`."""

    __slots__ = ("_mailbox", "_timer")

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._timer = mailbox.loop.call_later(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        if self._mailbox.is_idle():
            self._mailbox.beat()
        self._timer = self._mailbox.loop.call_later(HEARTBEAT_S, self._beat)

    def stop(self) -> None:
        self._timer.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

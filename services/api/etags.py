"""ETags: what has not changed is not sent again, and what has changed is not overwritten by who has not seen it.

The tag of an answer is the hash of its bytes. `Tagged` puts it on every JSON answer to a GET and answers 304 to who
has it already. A route that changes something takes `IfMatchDep` and calls `against(tag_of_view(view))` in its
transaction, after it has locked the row, with the view that GET would show.

Of what also changes by itself the tag covers only what people change: `tag_of_view` with `only`. The route of the GET
sets it, and its answer is never 304, because the rest of it may be new.
"""

import hashlib
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import Stale

_CACHE = (b"cache-control", b"private, no-cache")  #: kept by the client alone, and asked about before each use


def tag_of(body: bytes) -> str:
    """The strong tag of these bytes, with its quotes."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def tag_of_view(view: BaseModel, only: frozenset[str] | None = None) -> str:
    """The tag of what a GET shows; `only`: of these fields alone."""
    return tag_of(view.model_dump_json(by_alias=True, include=None if only is None else set(only)).encode())


class IfMatch:
    """The tags that the caller has seen, if it says so."""

    def __init__(
        self,
        if_match: Annotated[
            str | None,
            Header(max_length=2000, description="The `ETag` that was seen; if it is not current: 412."),
        ] = None,
    ) -> None:
        self._seen = None if if_match is None else [tag.strip() for tag in if_match.split(",")]

    def against(self, tag: str) -> None:
        """Raises `Stale` if the caller has seen something else than `tag`, which is what GET shows now."""
        if self._seen is not None and "*" not in self._seen and tag not in self._seen:
            raise Stale


IfMatchDep = Annotated[IfMatch, Depends()]


class Tagged:
    """Tags JSON answers to GET that come in one piece and are not marked `no-store`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return await self._app(scope, receive, send)
        held: Message | None = None

        async def tagging(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_taggable(message):
                held = message
                return
            start, held = held, None
            if start is not None:
                if not message.get("more_body", False):
                    message = _tag(scope, start, message)
                await send(start)
            await send(message)

        return await self._app(scope, receive, tagging)


def _is_taggable(start: Message) -> bool:
    headers = dict(start["headers"])
    return (
        start["status"] == 200
        and headers.get(b"content-type", b"").startswith(b"application/json")
        and b"cache-control" not in headers
        and b"etag" not in headers
    )


def _tag(scope: Scope, start: Message, body: Message) -> Message:
    """Complete the start of the answer; the body that goes with it."""
    tag = tag_of(body.get("body", b""))
    start["headers"] = [*start["headers"], (b"etag", tag.encode()), _CACHE, (b"vary", b"Authorization")]
    known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
    if tag not in [each.strip().removeprefix("W/") for each in known.split(",")] and known.strip() != "*":
        return body
    start["status"] = 304
    start["headers"] = [pair for pair in start["headers"] if pair[0] not in {b"content-length", b"content-type"}]
    return {**body, "body": b""}

"""A request body as a file: on disk as soon as it is more than a little, so that many at once fit into memory."""

from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import Annotated, BinaryIO

from anyio import to_thread
from fastapi import Depends, Request

from services.api.signed import must_be_signed

_IN_MEMORY_BYTES = 1 << 20


async def _body_file(request: Request, _signed: Annotated[None, Depends(must_be_signed)]) -> AsyncIterator[BinaryIO]:
    """Nothing is read before the signature is checked."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
        async for chunk in request.stream():
            await to_thread.run_sync(file.write, chunk)
        await to_thread.run_sync(file.seek, 0)
        yield file  # type: ignore[misc]


BodyFile = Annotated[BinaryIO, Depends(_body_file)]

"""Many SSE clients in one process, as cheap as Python allows: raw sockets, one callback for what they were told."""

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

#: told of each `data:` line: which client, its content
Told = Callable[[int, bytes], None]


async def watch(
    targets: Sequence[tuple[str, dict[str, str]]], told: Told, ready: Callable[[], None], over: asyncio.Event
) -> None:
    """Follow every target (URL, headers) until `over`; `ready` is called when all streams are open."""
    opened = [await _open(url, headers) for url, headers in targets]
    readers = [asyncio.create_task(_read(index, reader, told)) for index, (reader, _) in enumerate(opened)]
    ready()
    await over.wait()
    for task in readers:
        task.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    for _, writer in opened:
        writer.transport.abort()


async def _open(url: str, headers: dict[str, str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert b" 200 " in head.split(b"\r\n", 1)[0], head
    return reader, writer


async def _read(index: int, reader: asyncio.StreamReader, told: Told) -> None:
    while line := await reader.readline():
        if line.startswith(b"data:"):
            told(index, line[5:].strip())

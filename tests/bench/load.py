"""A small HTTP load generator: keep-alive connections, one request at a time on each, as cheap as Python allows."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bench.timing import quantile

#: makes the request of a given number
Build = Callable[[int], bytes]


def post(url: str, path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body


@dataclass
class Load:
    """What came of it."""

    seconds: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    failed: int = 0

    def sample(self) -> dict[str, float]:
        """Rate of successes, quantiles, failures."""
        done = max(1, len(self.waits_s) - self.failed)
        waits = self.waits_s or [0.0]
        return {
            "per_s": done / self.seconds,
            "p50_ms": quantile(waits, 0.5) * 1000,
            "p99_ms": quantile(waits, 0.99) * 1000,
            "failed": float(self.failed),
        }


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    length = int(lower[at + 15 : lower.index(b"\r\n", at)]) if at >= 0 else 0
    if length:
        await reader.readexactly(length)
    return int(head[9:12])


async def _closed(url: str, build: Build, connections: int, seconds: float) -> Load:
    load, numbers = Load(), iter(range(10**9))
    parts = urlsplit(url)
    until_s = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while time.perf_counter() < until_s:
            began_s = time.perf_counter()
            writer.write(build(next(numbers)))
            status = await _answer(reader)
            load.waits_s.append(time.perf_counter() - began_s)
            load.failed += status >= 300
        writer.close()

    began_s = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    load.seconds = time.perf_counter() - began_s
    return load


async def _open(url: str, build: Build, per_s: float, seconds: float, connections: int) -> Load:
    load = Load()
    parts = urlsplit(url)
    due: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (item := await due.get()) is not None:
            number, due_s = item
            writer.write(build(number))
            status = await _answer(reader)
            load.waits_s.append(time.perf_counter() - due_s)  # from when it was due, so that no delay is left out
            load.failed += status >= 300
        writer.close()

    workers = [asyncio.create_task(one()) for _ in range(connections)]
    began_s = time.perf_counter()
    for number in range(int(per_s * seconds)):
        due_s = began_s + number / per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        due.put_nowait((number, due_s))
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    load.seconds = time.perf_counter() - began_s
    return load


def closed(url: str, build: Build, *, connections: int, seconds: float) -> Load:
    """Each connection sends its next request when the last one is answered."""
    return asyncio.run(_closed(url, build, connections, seconds))


def at_rate(url: str, build: Build, *, per_s: float, seconds: float, connections: int = 64) -> Load:
    """Requests at fixed times, whatever the answers do."""
    return asyncio.run(_open(url, build, per_s, seconds, connections))

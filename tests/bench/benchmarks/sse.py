"""Events to watchers: many who each watch a run of their own, and many who all watch one run.

An event is one step of a run back to the queue and out again: row, event and NOTIFY in one commit, written here; its
age is taken when the client has read it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import orjson

from shared.contracts.states import RunState
from shared.db.session import transaction
from shared.runs import sync
from shared.runs.submit import Request, submit
from tests.bench.benchmarks.submit import answers
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec
from tests.bench.timing import paced, quantile
from tests.bench.watch import watch
from tests.bench.world import Size, World
from tests.support.platform import API_KEY, Platform, free_port, until

_OWN_PER_S, _FAN_PER_S = 50.0, 2.0
_SETTLE_S = 1.0
_MARK = "bench"


class Publisher:
    """Makes events of runs; each carries the time just before it was written."""

    def __init__(self, platform: Platform, count: int) -> None:
        self._platform = platform
        with transaction(platform.engine) as session:
            request = Request("test.noop", NoopSpec())
            self.runs = [submit(session, platform.settings, platform.caller, request) for _ in range(count)]
        self._queued = set(self.runs)

    def publish(self, run: UUID) -> None:
        """One event."""
        reason = f"{_MARK} {time.monotonic_ns()}"
        with transaction(self._platform.engine) as session:
            if run in self._queued:
                self._queued.discard(run)
                moved = sync.change(session, run, RunState.DISPATCHED, reason=reason)
            else:
                self._queued.add(run)
                moved = sync.change(
                    session, run, RunState.QUEUED, reason=reason, step=0, crashed=0, delay_s=0.0, away_s=0.0
                )
        assert moved is not None


def listen(targets: list[tuple[str, dict[str, str]]], publish: Callable[[], int]) -> Sample:
    """Open the streams, publish, and read the ages, in ms; `publish` returns how many deliveries are to come."""
    ages_ms: list[float] = []
    expected: list[int] = []
    opened = threading.Event()

    def told(_index: int, data: bytes) -> None:
        at = data.rfind(_MARK.encode())
        if at >= 0:
            sent_ns = int(bytes(data[at + len(_MARK) + 1 :].split(b'"', 1)[0]))
            ages_ms.append((time.monotonic_ns() - sent_ns) / 1e6)

    async def all_of_it() -> None:
        over = asyncio.Event()
        watching = asyncio.create_task(watch(targets, told, opened.set, over))
        await asyncio.to_thread(opened.wait, 120)
        await asyncio.sleep(_SETTLE_S)
        expected.append(await asyncio.to_thread(publish))
        await asyncio.to_thread(until, lambda: len(ages_ms) >= expected[0], 60, "not every event was delivered")
        over.set()
        await watching

    asyncio.run(all_of_it())
    return {"p50_ms": quantile(ages_ms, 0.5), "p99_ms": quantile(ages_ms, 0.99), "delivered": len(ages_ms)}


def _ours(platform: Platform, url: str, publisher: Publisher, watchers: int, size: Size, *, one: bool) -> Sample:
    runs = publisher.runs[:1] * watchers if one else publisher.runs[:watchers]
    headers = {"Authorization": f"Bearer {API_KEY}"}
    heads = {row["id"]: row["event_seq"] for row in platform.rows("SELECT id, event_seq FROM runs")}
    targets = [(f"{url}/v1/runs/{run}/events?after={heads[run]}", headers) for run in runs]
    per_s = _FAN_PER_S if one else _OWN_PER_S

    def publish() -> int:
        count = max(3, int(per_s * size.seconds * 1.5))
        for index in paced(count, per_s):
            publisher.publish(runs[index * 7 % len(runs)])
        return count * (watchers if one else 1)

    return listen(targets, publish)


def _peer(world: World, url: str, watchers: int, size: Size) -> Sample:
    def publish() -> int:
        count = max(3, int(_FAN_PER_S * size.seconds * 1.5))
        for _ in paced(count, _FAN_PER_S):
            world.redis.publish("fan", orjson.dumps({"data": f"{_MARK} {time.monotonic_ns()}"}))
        return count * watchers

    targets: list[tuple[str, dict[str, str]]] = [(f"{url}/events/fan", {})] * watchers
    return listen(targets, publish)


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    port = free_port()
    peer = f"http://127.0.0.1:{port}"
    with world.platform() as platform, world.peer("tests.bench.peers.sse", str(port)):
        url = platform.start_api(module="tests.bench.api")
        until(lambda: answers(f"{peer}/openapi.json"))
        publisher = Publisher(platform, size.watchers)
        many = size.watchers
        yield {
            "one watcher": lambda: _ours(platform, url, publisher, 1, size, one=False),
            "500 watchers, own runs": lambda: _ours(platform, url, publisher, many, size, one=False),
            "500 watchers, one run": lambda: _ours(platform, url, publisher, many, size, one=True),
            "one connection per client": lambda: _peer(world, peer, many, size),
        }


SSE = Benchmark(
    "sse",
    _prepare,
    [
        Figure("SSE p99, 500 watchers of own runs", "ms", "p99_ms", "500 watchers, own runs", "one watcher", 1.5),
        Figure(
            "SSE p99, 500 watchers of one run",
            "ms",
            "p99_ms",
            "500 watchers, one run",
            "one connection per client",
            0.5,
        ),
    ],
)

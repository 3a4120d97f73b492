"""Many watchers at once: each sees each event once, in order, whoever else watches, stalls or dies."""

import asyncio
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import text

from services.api.afterwards import Application
from services.api.stream import EventStream, Mailbox
from shared.db.session import transaction
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform

WATCHERS = 500
RUNS = 50
EVENTS = 20
#: About 15 as measured from outside.
LIMIT_KIB = 24.0
_ADD = text(
    "WITH held AS (UPDATE runs SET event_seq = event_seq + 1 WHERE id = ANY(:ids) RETURNING id, event_seq) "
    "INSERT INTO run_events (run_id, seq, attempt, type, data) SELECT id, event_seq, 1, 'notice', '{}' FROM held"
)


class Watcher:
    """A raw connection that reads one run's stream, and reconnects with the id that it saw last."""

    def __init__(self, run: UUID, ports: list[int]) -> None:
        self.run, self.ports = run, ports
        self.seen: list[int] = []
        self.opened = asyncio.Event()

    async def follow(self, until_seq: int) -> None:
        """Read until that event has come; another API is asked when this one dies."""
        turn = 0
        while not self.seen or self.seen[-1] < until_seq:
            try:
                await self._read(self.ports[turn % len(self.ports)], until_seq)
            except OSError:
                await asyncio.sleep(0.05)
            turn += 1

    async def _read(self, port: int, until_seq: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        last = f"Last-Event-ID: {self.seen[-1]}\r\n" if self.seen else ""
        head = f"GET /v1/runs/{self.run}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n{last}\r\n"
        writer.write(head.encode())
        try:
            while line := await reader.readline():
                self.opened.set()
                if line.startswith(b"id: "):
                    self.seen.append(int(line[4:]))
                    if self.seen[-1] >= until_seq:
                        return
        finally:
            writer.close()


def add_events(platform: Platform, runs: list[UUID]) -> None:
    with transaction(platform.engine) as session:
        session.execute(_ADD, {"ids": runs})


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


def test_five_hundred_watchers_see_each_event_once_although_an_api_dies(platform: Platform) -> None:
    ports = [int(platform.start_api(name).rsplit(":", 1)[1]) for name in ("api1", "api2")]
    runs = [platform.submit("test.inline", journal=f"j{n}") for n in range(RUNS)]
    last = 1 + EVENTS
    # half of them watch one run, the others all runs in turn; half ask each API first
    watched = [runs[0] if n % 2 else runs[n // 2 % RUNS] for n in range(WATCHERS)]
    watchers = [Watcher(run, ports if n % 4 < 2 else ports[::-1]) for n, run in enumerate(watched)]

    async def everything() -> None:
        tasks = [asyncio.create_task(watcher.follow(last)) for watcher in watchers]
        await asyncio.gather(*(watcher.opened.wait() for watcher in watchers))
        for round_ in range(EVENTS):
            await asyncio.to_thread(add_events, platform, runs)
            if round_ == EVENTS // 2:
                platform.kill("api1")
            await asyncio.sleep(0.02)
        await asyncio.wait_for(asyncio.gather(*tasks), 90)

    asyncio.run(everything())
    wrong = [watcher.seen for watcher in watchers if watcher.seen != list(range(1, last + 1))]
    assert not wrong, f"{len(wrong)} of {WATCHERS}, such as {wrong[0]}"


def test_a_watcher_costs_little_memory(platform: Platform) -> None:
    port = int(platform.start_api("api").rsplit(":", 1)[1])
    process = psutil.Process(platform.processes["api"].pid)
    runs = [platform.submit("test.inline", journal=f"j{n}") for n in range(RUNS)]

    async def grown_kib() -> float:
        async def open_more(count: int) -> list[asyncio.Task]:
            watchers = [Watcher(runs[n % RUNS], [port]) for n in range(count)]
            tasks = [asyncio.create_task(watcher.follow(10_000)) for watcher in watchers]
            await asyncio.gather(*(watcher.opened.wait() for watcher in watchers))
            return tasks

        tasks = await open_more(100)  # pools, caches and threads that all share
        await asyncio.to_thread(add_events, platform, runs)
        before = process.memory_full_info().uss
        tasks += await open_more(WATCHERS)
        await asyncio.to_thread(add_events, platform, runs)
        await asyncio.sleep(1)
        after = process.memory_full_info().uss
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return (after - before) / 1024 / WATCHERS

    kib = asyncio.run(grown_kib())
    print(f"{kib:.1f} KiB per watcher")  # noqa: T201
    assert kib <= LIMIT_KIB


def test_few_streams_are_begun_at_a_time_and_nothing_else_waits_for_them() -> None:
    async def everything() -> None:
        app, begun, go = Application(openings=2), asyncio.Queue[None](), asyncio.Event()

        @app.get("/events")
        async def stream() -> None:
            begun.put_nowait(None)
            await go.wait()

        @app.get("/other")
        async def other() -> None:
            pass

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            streams = [asyncio.create_task(client.get("/events")) for _ in range(5)]
            for _ in range(2):
                await begun.get()
            assert (await client.get("/other")).status_code == 200
            assert begun.empty(), "a third was begun before one of the first two had"
            go.set()
            assert [answer.status_code for answer in await asyncio.gather(*streams)] == [200] * 5

    asyncio.run(everything())


def test_a_watcher_that_hangs_up_before_its_first_byte_is_forgotten() -> None:
    ended: list[str] = []

    async def hang_up(_message: object) -> None:
        raise ConnectionResetError

    async def nothing() -> dict[str, str]:
        return {}

    async def begin() -> None:
        stream = EventStream(Mailbox(), lambda: ended.append("forgotten"))
        await stream({"type": "http"}, nothing, hang_up)

    with pytest.raises(ConnectionResetError):
        asyncio.run(begin())
    assert ended == ["forgotten"]

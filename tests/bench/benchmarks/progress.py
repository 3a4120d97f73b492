"""A progress call in the innermost loop: its price at 10,000 calls a second, and how late a watcher sees it."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import httpx
import orjson
import psycopg2
from sqlalchemy import text

from shared.db.session import transaction
from shared.runs.keeper import Keeper, Limits
from shared.runs.reporter import RunReporter
from shared.runs.submit import Request, submit
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec, TellSpec, milliseconds
from tests.bench.peers.client import usual_jobs
from tests.bench.timing import quantile
from tests.bench.world import Size, World
from tests.support.platform import API_KEY, Platform, until

_PER_S, _BURST = 10_000, 100
_WATCHED_S = 3.0  #: long enough for several looks, however small the rest is


def running_runs(platform: Platform, count: int) -> list[UUID]:
    """Runs that this process has claimed, as a worker would."""
    with transaction(platform.engine) as session:
        request = Request("test.noop", NoopSpec())
        runs = [submit(session, platform.settings, platform.caller, request) for _ in range(count)]
        session.execute(
            text(
                "UPDATE runs SET state = 'running', worker = 'bench', started_at = now(), "
                "lease_expires_at = now() + interval '30 seconds' WHERE id = ANY(:runs)"
            ),
            {"runs": runs},
        )
    return runs


def keeper(platform: Platform, run: UUID, reporter: RunReporter) -> Keeper:
    """The keeper of a claimed run whose body is the harness."""
    return Keeper(
        platform.engine,
        platform.settings,
        run,
        1,
        reporter,
        Limits(300, 310),
        claimed_s=time.monotonic(),
        draining=lambda: False,
        kill=lambda _reason: None,
        mirror=lambda _news: None,
    )


def _calls(platform: Platform, size: Size) -> Sample:
    (run,) = running_runs(platform, 1)
    reporter = RunReporter(1)
    total, spent_s, began_s = int(size.seconds * _PER_S), 0.0, time.monotonic()
    with keeper(platform, run, reporter):
        for first in range(0, total, _BURST):
            time.sleep(max(0.0, began_s + first / _PER_S - time.monotonic()))
            before_s = time.perf_counter()
            for index in range(first, first + _BURST):
                reporter.progress(index / total, stage="telling", current=index, total=total)
            spent_s += time.perf_counter() - before_s
    return {"us": spent_s / total * 1e6}


def _usual_calls(world: World, size: Size, process_count: int) -> Sample:
    """The same, by SELECT, UPDATE, COMMIT and `update_state`, as often as it can."""
    database = world.database()
    usual_jobs(database, process_count)
    argv = ("tests.bench.peers.usual_progress", str(size.seconds))
    with world.peer(*argv, BENCH_DATABASE_URL=database) as process:
        process.wait(60)
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT result::float FROM usual_jobs WHERE result IS NOT NULL")
        us = float((cursor.fetchone() or [0.0])[0])
    connection.close()
    return {"us": us}


class Seen(threading.Thread):
    """Follows a run over SSE and notes when which progress was seen."""

    def __init__(self, url: str, run: UUID) -> None:
        super().__init__(daemon=True)
        self.url = f"{url}/v1/runs/{run}/events"
        self.seen: list[tuple[int, int]] = []  #: (told, seen), ms

    def run(self) -> None:
        """Until the stream ends."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        with httpx.stream("GET", self.url, headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:") and (told := orjson.loads(line[5:]).get("data", {}).get("current")):
                    self.seen.append((told, milliseconds()))

    def waits(self) -> list[float]:
        """For each millisecond in which something was told: how long until that, or something newer, was seen."""
        waits: list[float] = []
        for (before, _), (told, seen) in zip(self.seen, self.seen[1:], strict=False):
            waits += [seen - moment for moment in range(before + 1, told + 1)]
        return waits


def _watched(platform: Platform, url: str, size: Size) -> Sample:
    with transaction(platform.engine) as session:
        spec = TellSpec(seconds=max(_WATCHED_S, size.seconds), per_s=_PER_S)
        run = submit(session, platform.settings, platform.caller, Request("test.tell", spec))
    watcher = Seen(url, run)
    watcher.start()
    row = platform.finished(run)
    assert row["state"] == "succeeded", row["envelope"]
    watcher.join(30)
    waits = watcher.waits()
    return {"p99_ms": quantile(waits, 0.99), "p50_ms": quantile(waits, 0.5), "most_ms": max(waits)}


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform() as platform, world.platform() as calling:
        platform.start("dispatcher", "tests.bench.dispatcher")
        platform.start_worker("w", "tests.bench.worker", FAULTLINE_WORKER_POOLS='["bench"]')
        url = platform.start_api(module="tests.bench.api")
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        yield {
            "call": lambda: _calls(calling, size),
            "usual pattern": lambda: _usual_calls(world, size, 1),
            "watched": lambda: _watched(platform, url, size),
        }


PROGRESS = Benchmark(
    "progress",
    _prepare,
    [
        Figure("progress call at 10,000/s", "us", "us", "call", limit=2.0),
        Figure("progress call at 10,000/s", "us", "us", "call", "usual pattern"),
        Figure("progress seen by a watcher, p99", "ms", "p99_ms", "watched", limit=250.0),
        Figure("progress seen by a watcher, p50", "ms", "p50_ms", "watched"),
    ],
)

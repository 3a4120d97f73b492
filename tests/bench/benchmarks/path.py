"""The full path of an inline kind against bare Celery and the usual pattern: a backlog that waits when the worker
starts is run to its end; the rate is read off the bodies' own clocks. The first start also tells the boot.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from celery import Celery
from sqlalchemy import text

from shared.db.session import transaction
from shared.queue.app import Sender
from shared.runs.submit import Request, submit
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec
from tests.bench.peers.client import peer_app, usual_jobs
from tests.bench.world import Size, World, end_group
from tests.support.platform import Platform, until

_WAIT_S = 180.0


def rate_and_boot(began_ns: list[int], started_ns: int) -> Sample:
    """Starts per second between the first and the last, and seconds from the process to the first."""
    first, last = min(began_ns), max(began_ns)
    return {"per_s": (len(began_ns) - 1) / ((last - first) / 1e9), "boot_s": (first - started_ns) / 1e9}


def submit_dispatched(platform: Platform, count: int) -> list[UUID]:
    """Runs whose messages are in the broker, whoever may take them."""
    with transaction(platform.engine) as session:
        request = Request("test.noop", NoopSpec())
        runs = [submit(session, platform.settings, platform.caller, request) for _ in range(count)]
        session.execute(text("UPDATE runs SET state = 'dispatched', dispatched_at = now() WHERE state = 'queued'"))
    sender = Sender(platform.settings)
    for run in runs:
        sender.run("test.noop", "bench", run, 1, None)
    return runs


def _began(platform: Platform) -> list[int]:
    rows = platform.rows("SELECT envelope -> 'result' ->> 'began_ns' AS ns FROM runs WHERE state = 'succeeded'")
    return [int(row["ns"]) for row in rows]


def _ours(platform: Platform, count: int) -> Sample:
    with transaction(platform.engine) as session:
        session.execute(text("TRUNCATE runs CASCADE"))
    submit_dispatched(platform, count)
    began_ns = time.monotonic_ns()
    process = platform.start(
        "worker",
        "tests.bench.worker",
        FAULTLINE_WORKER_NAME="w",
        FAULTLINE_WORKER_POOLS='["bench"]',
        PROMETHEUS_MULTIPROC_DIR=str(platform.folder / "metrics"),
    )
    try:
        counting = "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL"
        until(lambda: platform.rows(counting)[0]["n"] == 0, _WAIT_S, "the runs do not end")
    finally:
        end_group(process)
    return rate_and_boot(_began(platform), began_ns)


def results(world: World, ids: list[str]) -> list[int]:
    """Wait for the results of a peer's tasks."""
    keys = [f"celery-task-meta-{task_id}" for task_id in ids]

    def done(some: list[str]) -> list[int]:
        """Their results; nothing as long as one is missing."""
        found: list[Any] = [orjson.loads(raw or b"{}") for raw in world.redis.mget(some)]
        assert not any(item.get("status") == "FAILURE" for item in found), found
        return [item["result"] for item in found] if all(item.get("status") == "SUCCESS" for item in found) else []

    until(lambda: done(keys[-1:]), _WAIT_S, "the peer does not end")
    began_ns: list[int] = until(lambda: done(keys), _WAIT_S, "the peer does not end")
    return began_ns


def _celery(world: World, module: str, send: Callable[[int], list[str]], count: int, **environment: str) -> Sample:
    ids = send(count)
    began_ns = time.monotonic_ns()
    argv = ("celery", "-A", module, "worker", "--pool=prefork", "--concurrency=1")
    with world.peer(*argv, **environment):
        return rate_and_boot(results(world, ids), began_ns)


def sender(app: Celery, name: str, arguments: Callable[[int], list[int]]) -> Callable[[int], list[str]]:
    """Sends that many tasks; their ids."""
    return lambda count: [app.send_task(name, [number]).id for number in arguments(count)]


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    bare, usual = peer_app(world, "bare"), peer_app(world, "usual")
    database = world.database()
    with world.platform() as on, world.platform(CELERY_RESULT_BACKEND="") as off:
        yield {
            "faultline": lambda: _ours(on, size.tasks),
            "faultline without mirror": lambda: _ours(off, size.tasks),
            "bare Celery": lambda: _celery(
                world, "tests.bench.peers.bare_celery", sender(bare, "bare.noop", lambda n: list(range(n))), size.tasks
            ),
            "usual pattern": lambda: _celery(
                world,
                "tests.bench.peers.usual_celery",
                sender(usual, "usual.noop", lambda n: usual_jobs(database, n)),
                size.tasks,
                BENCH_DATABASE_URL=database,
            ),
        }


PATH = Benchmark(
    "path",
    _prepare,
    [
        Figure("full path, mirror on", "runs/s", "per_s", "faultline", "bare Celery", 0.65, at_least=True),
        Figure(
            "full path, mirror off", "runs/s", "per_s", "faultline without mirror", "bare Celery", 0.65, at_least=True
        ),
        Figure("full path, mirror on", "runs/s", "per_s", "faultline", "usual pattern", 4.0, at_least=True),
        Figure("worker boot to first task", "s", "boot_s", "faultline", "bare Celery", 0.7),
    ],
)

"""Start latency at a low rate: from before the commit of the row (or before `apply_async`) to the body's first line."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.bench.benchmarks.path import results
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec
from tests.bench.peers.client import peer_app
from tests.bench.timing import paced, quantile
from tests.bench.world import Size, World
from tests.support.platform import Platform, until

_WARM = 3


def _latencies(sent_ns: Mapping[object, int], began_ns: Mapping[object, int]) -> Sample:
    waits = [(began_ns[key] - sent) / 1e6 for key, sent in sent_ns.items()]
    return {"p50_ms": quantile(waits, 0.5), "p99_ms": quantile(waits, 0.99)}


def _ours(platform: Platform, size: Size) -> Sample:
    sent_ns: dict[object, int] = {}
    for index in paced(size.starts + _WARM, size.starts_per_s):
        with transaction(platform.engine) as session:
            run = submit(session, platform.settings, platform.caller, Request("test.noop", NoopSpec()))
            now_ns = time.monotonic_ns()
        if index >= _WARM:
            sent_ns[run] = now_ns
    until(lambda: platform.rows("SELECT count(*) AS n FROM runs WHERE finished_at IS NULL")[0]["n"] == 0)
    rows = platform.rows("SELECT id, envelope -> 'result' ->> 'began_ns' AS ns FROM runs")
    return _latencies(sent_ns, {UUID(str(row["id"])): int(row["ns"]) for row in rows})


def _bare(world: World, size: Size) -> Sample:
    app = peer_app(world, "bare")
    sent_ns: dict[object, int] = {}
    for index in paced(size.starts + _WARM, size.starts_per_s):
        now_ns = time.monotonic_ns()
        task_id = app.send_task("bare.noop", [index]).id
        if index >= _WARM:
            sent_ns[task_id] = now_ns
    ids = [str(key) for key in sent_ns]
    return _latencies(sent_ns, dict(zip(sent_ns, results(world, ids), strict=True)))


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    argv = ("celery", "-A", "tests.bench.peers.bare_celery", "worker", "--pool=prefork", "--concurrency=1")
    with world.platform() as platform, world.peer(*argv):
        platform.start("dispatcher", "tests.bench.dispatcher")
        platform.start_worker("w", "tests.bench.worker", FAULTLINE_WORKER_POOLS='["bench"]')
        results(world, [peer_app(world, "bare").send_task("bare.noop", [0]).id])
        with transaction(platform.engine) as session:
            submit(session, platform.settings, platform.caller, Request("test.noop", NoopSpec()))
        until(lambda: platform.rows("SELECT 1 FROM runs WHERE state = 'succeeded'"), what="the first run does not end")
        yield {"faultline": lambda: _ours(platform, size), "bare Celery": lambda: _bare(world, size)}


START = Benchmark(
    "start",
    _prepare,
    [
        Figure("start latency p50", "ms", "p50_ms", "faultline", "bare Celery", 2.0),
        Figure("start latency p99", "ms", "p99_ms", "faultline", "bare Celery", 2.5),
    ],
)

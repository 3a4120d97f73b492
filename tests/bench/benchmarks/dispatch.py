"""The dispatcher against `apply_async`, one process each; and what a kill -9 of it costs: nothing."""

import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import text

from shared.db.session import transaction
from shared.queue.app import Sender
from shared.runs.dispatch import dispatch_once
from shared.runs.submit import Request, submit
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import NoopSpec
from tests.bench.peers.client import peer_app
from tests.bench.world import Size, World
from tests.support.platform import Platform, until

_SEED = 7
_KILLS = 3
_OPEN = "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL"


def _queue(platform: Platform, count: int) -> None:
    with transaction(platform.engine) as session:
        request = Request("test.noop", NoopSpec())
        for _ in range(count):
            submit(session, platform.settings, platform.caller, request)


def _dispatched(platform: Platform, size: Size) -> Sample:
    with transaction(platform.engine) as session:
        session.execute(text("TRUNCATE runs CASCADE"))
        session.execute(
            text(
                "INSERT INTO workers (name, pools, kinds, slots, host, pid, version) "
                "VALUES ('w', '{bench}', '{test.noop}', 1, 'here', 1, '0') "
                "ON CONFLICT (name) DO UPDATE SET heartbeat_at = now()"
            )
        )
    _queue(platform, size.dispatched)
    sender = Sender(platform.settings)
    sender.depth("bench")  # connects
    before_s, cpu_s = time.perf_counter(), time.process_time()
    sent = dispatch_once(platform.engine, platform.settings, sender.run)
    cpu_s = time.process_time() - cpu_s
    assert sent == size.dispatched, sent
    return {"per_s": sent / (time.perf_counter() - before_s), "per_cpu_s": sent / cpu_s}


def _apply_async(world: World, size: Size) -> Sample:
    app = peer_app(world, "bare")
    app.send_task("bare.noop", [0])
    before_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(size.dispatched):
        app.send_task("bare.noop", [number])
    cpu_s = time.process_time() - cpu_s
    world.redis.delete("bare")
    return {"per_s": size.dispatched / (time.perf_counter() - before_s), "per_cpu_s": size.dispatched / cpu_s}


def _wait_for(platform: Platform, left: int) -> None:
    until(lambda: platform.rows(_OPEN)[0]["n"] <= left, 180, f"there are more than {left} runs left")


def _killed(platform: Platform, size: Size) -> Sample:
    """Runs that did not end well, and starts beyond one for each run, while the dispatcher is killed repeatedly."""
    with transaction(platform.engine) as session:
        session.execute(text("TRUNCATE runs CASCADE"))
    chance = random.Random(_SEED)
    platform.start("dispatcher", "tests.bench.dispatcher")
    _queue(platform, size.dispatched // 2)
    for _ in range(_KILLS):
        left = platform.rows(_OPEN)[0]["n"] - chance.randrange(1, max(2, size.dispatched // 12))
        _wait_for(platform, max(0, left))
        platform.kill("dispatcher", signal.SIGKILL)
        platform.start("dispatcher", "tests.bench.dispatcher")
    _wait_for(platform, 0)
    platform.kill("dispatcher", signal.SIGKILL)
    lost = platform.rows("SELECT count(*) AS n FROM runs WHERE state <> 'succeeded' OR attempt <> 1")[0]["n"]
    starts = platform.rows("SELECT count(*) AS n FROM run_events WHERE data ->> 'state' = 'running'")[0]["n"]
    return {"lost_or_doubled": float(lost + starts - size.dispatched // 2)}


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform(lead=1_000) as idle, world.platform(lead=20) as busy:
        busy.start_worker("w", "tests.bench.worker", FAULTLINE_WORKER_POOLS='["bench"]')

        def dispatched() -> Sample:
            try:
                return _dispatched(idle, size)
            finally:
                world.redis.delete("bench")

        yield {
            "faultline": dispatched,
            "apply_async": lambda: _apply_async(world, size),
            "killed": lambda: _killed(busy, size),
        }


DISPATCH = Benchmark(
    "dispatch",
    _prepare,
    [
        Figure("dispatcher, one process", "runs/s", "per_s", "faultline", "apply_async", 0.8, at_least=True),
        Figure("dispatcher, per second of its CPU", "runs/s", "per_cpu_s", "faultline", "apply_async", at_least=True),
        Figure("runs lost or doubled over kill -9 of the dispatcher", "", "lost_or_doubled", "killed", limit=0.0),
    ],
)

"""Kill -9 of a whole worker in the middle of a run, with an idle one beside it: when does the body start again?"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import TellSpec
from tests.bench.world import Size, World
from tests.support.platform import Platform, until

_LEASE_S = 3.0
_GRACE_S = 2.0


def _worker(platform: Platform, name: str) -> None:
    platform.start_worker(name, "tests.bench.worker", FAULTLINE_WORKER_POOLS='["bench"]')


def _again(platform: Platform) -> Sample:
    with transaction(platform.engine) as session:
        request = Request("test.tell", TellSpec(seconds=2.0, per_s=100))
        run = submit(session, platform.settings, platform.caller, request)
    until(lambda: platform.run(run)["state"] == "running")
    first = platform.run(run)["worker"]
    killed_ns = time.monotonic_ns()
    os.killpg(platform.processes[first].pid, signal.SIGKILL)
    row = platform.finished(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 2), row
    platform.processes[first].wait(30)
    _worker(platform, first)
    return {"s": (row["envelope"]["result"]["began_ns"] - killed_ns) / 1e9}


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform(FAULTLINE_LEASE_S=str(_LEASE_S), FAULTLINE_HEARTBEAT_S="1") as platform:
        platform.start("dispatcher", "tests.bench.dispatcher")
        platform.start("reconciler", "services.api.reconciler")
        for name in ("a", "b"):
            _worker(platform, name)
        yield {"faultline": lambda: _again(platform)}


RECOVERY = Benchmark(
    "recovery",
    _prepare,
    [Figure("start again after kill -9 of a worker, lease 3 s", "s", "s", "faultline", limit=_LEASE_S + _GRACE_S)],
)

"""Very many runs that report at once: how old what Postgres says may be. All keepers share one process on one core."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from shared.runs.reporter import RunReporter
from tests.bench.benchmarks.progress import keeper, running_runs
from tests.bench.figures import Benchmark, Figure, Sample, Variant
from tests.bench.kinds import milliseconds
from tests.bench.world import Size, World
from tests.support.platform import Platform

_TOLD_EVERY_S = 0.05
_WARM_S = 3.0


def _stale(platform: Platform, size: Size) -> Sample:
    """The worst age, over all runs and looks, of the newest progress in its row."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    runs = running_runs(platform, size.reporting)
    reporters = [RunReporter(1) for _ in runs]
    over = threading.Event()

    def telling() -> None:
        while not over.wait(_TOLD_EVERY_S):
            for reporter in reporters:
                reporter.progress(0.5, stage="telling", current=milliseconds(), total=1)

    teller = threading.Thread(target=telling)
    ages: list[float] = []
    try:
        with ExitStack() as keepers:
            teller.start()
            for run, reporter in zip(runs, reporters, strict=True):
                keepers.enter_context(keeper(platform, run, reporter))
            time.sleep(_WARM_S)
            until_s = time.monotonic() + max(2.0, size.seconds * 2)
            while time.monotonic() < until_s:
                oldest = platform.rows(
                    "SELECT min(coalesce(stage_current, 0)) AS told FROM runs WHERE id = ANY(:runs)", runs=runs
                )
                ages.append((milliseconds() - oldest[0]["told"]) / 1000)
                time.sleep(0.1)
    finally:
        over.set()
        teller.join()
        os.sched_setaffinity(0, cores)
    return {"age_s": max(ages)}


@contextmanager
def _prepare(world: World, size: Size) -> Iterator[Mapping[str, Variant]]:
    with world.platform() as platform:
        yield {"faultline": lambda: _stale(platform, size)}


REPORTING = Benchmark(
    "reporting",
    _prepare,
    [Figure("1,000 runs reporting at once: worst age in Postgres", "s", "age_s", "faultline", limit=2.0)],
)

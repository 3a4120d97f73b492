"""Kinds of the benchmarks and their bodies: as little science as possible, so that the path is what is measured."""

import time

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import Spec
from shared.queue import run_task
from shared.runs.body import Reporter, RunArtifacts, RunStopped


class NoopSpec(Spec):
    """Nothing to do."""


class TellSpec(Spec):
    """Tell progress `per_s` times a second for `seconds`."""

    seconds: float = Field(1.0, ge=0)
    per_s: int = Field(10_000, ge=1)


class Began(View):
    """When the body's first line ran, in ns of the machine's monotonic clock."""

    began_ns: int


class TrialSpec(Spec):
    """A point, and how long it takes."""

    sleep_s: float = 0.25
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0


class Tried(View):
    """The value at the point."""

    value: float


def trial(spec: TrialSpec, _reporter: Reporter, _artifacts: RunArtifacts) -> Tried:
    """A pause."""
    time.sleep(spec.sleep_s)
    return Tried(value=sum(x * x for x in (spec.a, spec.b, spec.c, spec.d, spec.e, spec.f)))


def noop(_spec: NoopSpec, _reporter: Reporter, _artifacts: RunArtifacts) -> Began:
    """Nothing."""
    return Began(began_ns=time.monotonic_ns())


def milliseconds() -> int:
    """The monotonic clock, small enough for a column of 32 bits."""
    return (time.monotonic_ns() // 1_000_000) & 0x7FFFFFFF


def tell(spec: TellSpec, reporter: Reporter, _artifacts: RunArtifacts) -> Began:
    """Progress whose `current` is the time of the call."""
    began_ns = time.monotonic_ns()
    calls = int(spec.seconds * spec.per_s)
    for index in range(calls):
        if index % 100 == 0:
            if reporter.should_stop():
                raise RunStopped
            time.sleep(max(0.0, began_ns / 1e9 + index / spec.per_s - time.monotonic()))
        reporter.progress(index / calls, stage="telling", current=milliseconds(), total=calls)
    return Began(began_ns=began_ns)


KINDS["test.noop"] = Kind("test.noop", NoopSpec, "bench", 300, 310)
KINDS["test.tell"] = Kind("test.tell", TellSpec, "bench", 300, 310)
for _kind in ("test.trial", "test.trial.supervised"):
    KINDS[_kind] = Kind(_kind, TrialSpec, "bench", 300, 310)
run_task("test.trial", f"{__name__}:trial", mode="inline")
run_task("test.trial.supervised", f"{__name__}:trial", mode="supervised")
run_task("test.noop", f"{__name__}:noop", mode="inline")
run_task("test.tell", f"{__name__}:tell", mode="inline")

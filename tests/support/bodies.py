"""Bodies whose every effect can be counted: each step appends a line to a journal."""

import os
import signal
import time
from pathlib import Path
from typing import Literal

import structlog
from pydantic import Field

from shared.contracts.base import View
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import Spec
from shared.errors import StoreAway, TooLarge, UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped


class CountSpec(Spec):
    """Count to `steps`, with a checkpoint after each, and note every step in `journal`."""

    journal: str
    steps: int = Field(5, ge=0)
    step_s: float = Field(0.0, ge=0)
    heeds_stop: bool = True
    crash_at: int | None = None  #: dies by its own SIGKILL at this step, in its first `crashes` attempts
    crashes: int = 1
    fail_at: int | None = None
    fail_with_nul: bool = False
    raises: Literal["memory", "large", "away", "exit", "segv"] | None = None  #: at `fail_at`, instead of a UserError
    away_times: int = 1000  #: so many attempts find a dependency away
    result_bytes: int = 0  #: how much text the result carries along
    marked: bool = False  #: each line of the journal names the attempt that wrote it


class Counted(View):
    """The last step, and where this attempt began."""

    steps: int
    began_at: int


class Padded(Counted):
    """A result of the size that was asked for."""

    padding: str


def note(journal: str, line: str) -> None:
    """Append a line atomically."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def count(spec: CountSpec, reporter: Reporter, artifacts: RunArtifacts) -> Counted:
    """See `CountSpec`."""
    mark = f" attempt={structlog.contextvars.get_contextvars()['attempt']}" if spec.marked else ""

    def tell(line: str) -> None:
        note(spec.journal, line + mark)

    saved = artifacts.checkpoint()
    began_at = int(saved.read_text()) if saved else 0
    (artifacts.workdir / "scratch").write_text("in use")
    tell(f"start pid={os.getpid()} from={began_at}")
    print(f"counting from {began_at}", flush=True)  # noqa: T201 - what a library prints belongs to the run's log
    for step in range(began_at, spec.steps):
        if spec.heeds_stop and reporter.should_stop():
            tell(f"stop at={step}")
            raise RunStopped
        if spec.crash_at == step and _crashes_so_far(spec.journal) < spec.crashes:
            tell(f"crash at={step}")
            os.kill(os.getpid(), signal.SIGKILL)
        if spec.fail_at == step and spec.fail_with_nul:
            raise ValueError("a\x00b \ud800")
        if spec.fail_at == step and spec.raises is not None:
            _trouble(spec)
        elif spec.fail_at == step:
            raise UserError("the body was told to fail", remedy="Do not tell it to.")
        time.sleep(spec.step_s)
        tell(f"step {step}")
        artifacts.save_checkpoint(step + 1, str(step + 1).encode())
        reporter.metrics(step, value=float(step))
        reporter.progress((step + 1) / spec.steps, stage="counting", current=step + 1, total=spec.steps)
    artifacts.put("count.txt", str(spec.steps).encode(), "text/plain")
    tell("end")
    if spec.result_bytes:
        return Padded(steps=spec.steps, began_at=began_at, padding="x" * spec.result_bytes)
    return Counted(steps=spec.steps, began_at=began_at)


def _trouble(spec: CountSpec) -> None:
    if spec.raises == "memory":
        raise MemoryError
    if spec.raises == "large":
        raise TooLarge
    if spec.raises == "exit":
        raise SystemExit("the body has had enough")
    if spec.raises == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if sum(line.startswith("start") for line in Path(spec.journal).read_text().splitlines()) <= spec.away_times:
        raise StoreAway(f"the store at {spec.journal} is away")


def _crashes_so_far(journal: str) -> int:
    return sum(line.startswith("crash") for line in Path(journal).read_text().splitlines())


for _kind in ("test.inline", "test.supervised"):
    KINDS[_kind] = Kind(_kind, CountSpec, "test", 300, 310)
KINDS["test.brief"] = Kind("test.brief", CountSpec, "test", 1, 2)

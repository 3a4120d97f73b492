"""A body that publishes, and loses what it publishes: files that are in the store and in no row."""

import os
import signal
from pathlib import Path
from typing import Any, Literal

import structlog

from shared.contracts.base import View
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import Spec
from shared.runs.body import Put, Reporter, RunArtifacts
from shared.runs.submit import Request
from tests.support.bodies import note
from tests.support.platform import until


class PublishSpec(Spec):
    """Publish `files` files; `journal` is told what becomes of them and what no row will name."""

    journal: str
    files: int = 3
    size_bytes: int = 1000
    lost: int = 0  #: so many more are stored, and no word of them is said
    #: where the first attempt ends by SIGKILL: between the store and the word of the last file, or just after the word
    dies: Literal["before", "after"] | None = None
    gate: str | None = None  #: the first file is stored and no word said until this one is there
    gated_from: int = 1  #: so in this attempt and those after it


class Published(View):
    """What there is to be found."""

    files: int


def publish(spec: PublishSpec, reporter: Reporter, artifacts: RunArtifacts) -> Published:
    """See `PublishSpec`."""
    attempt: int = structlog.contextvars.get_contextvars()["attempt"]
    note(spec.journal, f"attempt {attempt}")
    record = artifacts._record

    def hold(put: Put) -> None:
        note(spec.journal, "holds")
        until(Path(spec.gate or "").exists, 120)
        record(put)

    for number in range(spec.files):
        artifacts._record = record
        if spec.gate is not None and number == 0 and attempt >= spec.gated_from:
            artifacts._record = hold
        if spec.dies and attempt == 1 and number == spec.files - 1:
            artifacts._record = lambda put: _die(spec, put, record)
        artifacts.put(f"part-{number}.bin", bytes([number]) * (spec.size_bytes + number))
        reporter.progress((number + 1) / spec.files)
    artifacts._record = lambda put: note(spec.journal, f"lost {put.stored.key}")
    for number in range(spec.lost):
        artifacts.put(f"lost-{number}.bin", b"x" * (spec.size_bytes + number))
    return Published(files=spec.files)


def _die(spec: PublishSpec, put: Put, record: Any) -> None:
    note(spec.journal, f"lost {put.stored.key}")
    if spec.dies == "after":
        record(put)
    os.kill(os.getpid(), signal.SIGKILL)


def publishing(kind: str, journal: Path, **spec: Any) -> Request:
    """A request of that kind."""
    return Request(kind, PublishSpec(journal=str(journal), **spec))


for _kind in ("test.publish.inline", "test.publish.supervised"):
    KINDS[_kind] = Kind(_kind, PublishSpec, "test", 300, 310)

"""What a body sees of its run: a `Reporter` to tell, `RunArtifacts` to read and write. It knows neither SQL nor Celery.

def train_model(spec: TrainingSpec, reporter: Reporter, artifacts: RunArtifacts) -> TrainingResult: ...
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import UUID

import structlog

from shared.artifacts import ArtifactStore, Stored
from shared.contracts.refs import RefType
from shared.errors import Fatal, NotFound

_log = structlog.get_logger(__name__)
ArtifactRole = Literal["artifact", "checkpoint", "log"]


class RunStopped(BaseException):
    """A body that was asked to stop has saved what it can. Not an `Exception`, so that no body swallows it."""


class Reporter(Protocol):
    """How a body tells what happens. Every call is cheap: it may stand in the innermost loop."""

    def progress(
        self, fraction: float, *, stage: str | None = None, current: int | None = None, total: int | None = None
    ) -> None:
        """Say how far the run is, in [0, 1]; values that fall back are kept at the highest so far."""

    def metrics(self, step: int, **values: float) -> None:
        """Record one point per name; each is kept."""

    def should_stop(self) -> bool:
        """Whether to save and `raise RunStopped` now (cancel, pause, preemption, soft time limit)."""


@dataclass(frozen=True)
class Input:
    """Something made earlier that a spec points at, pinned when the run was submitted."""

    id: UUID
    type: RefType
    name: str
    result: Mapping[str, Any]  #: what the run that made it returned
    files: Mapping[str, str]  #: name -> key
    _fetch: Callable[[str], Path]

    def path(self, name: str) -> Path:
        """A local file, to be read only. Raises `NotFound` for a name that the input does not have."""
        if name not in self.files:
            raise NotFound(f"{self.type} {self.name!r} holds no file {name!r}; it holds: {', '.join(self.files)}.")
        return self._fetch(self.files[name])


@dataclass(frozen=True)
class Put:
    """One file written by a body, to be recorded under the run's fence."""

    name: str
    role: ArtifactRole
    stored: Stored
    content_type: str
    step: int | None = None


class RunArtifacts:
    """The files of one attempt: its inputs, what it makes, its checkpoints.

    `record` is told of each file after it is in the store; it exists for others once that record is committed.
    """

    def __init__(
        self,
        store: ArtifactStore,
        prefix: str,
        workdir: Path,
        inputs: Mapping[str, Any],
        record: Callable[[Put], None],
        checkpoint: Stored | None = None,
    ) -> None:
        self._workdir = workdir
        self._store = store
        self._prefix = prefix
        self._inputs = inputs
        self._record = record
        self._checkpoint = checkpoint

    @property
    def workdir(self) -> Path:
        """Private folder of this attempt, removed afterwards; made when it is first asked for."""
        self._workdir.parent.mkdir(parents=True, exist_ok=True)
        self._workdir.mkdir(mode=0o700, exist_ok=True)
        return self._workdir

    def input(self, ref: UUID) -> Input:
        """The input that the spec names by `ref`."""
        pinned = self._inputs.get(str(ref))
        if pinned is None:
            raise Fatal(f"input {ref} was not pinned when the run was submitted")
        return Input(ref, pinned["type"], pinned["name"], pinned["result"], pinned["files"], self._fetch)

    def put(self, name: str, source: Path | bytes, content_type: str = "application/octet-stream") -> None:
        """Write a file that belongs to the result. It exists for others with the next news of the run."""
        stored = self._store.put(f"{self._prefix}/{name}", source)
        self._record(Put(name, "artifact", stored, content_type))

    def save_checkpoint(self, step: int, source: Path | bytes) -> None:
        """Write a state to resume from; a later attempt receives the newest one."""
        name = f"checkpoint-{step:08d}"
        stored = self._store.put(f"{self._prefix}/checkpoints/{name}", source)
        self._record(Put(name, "checkpoint", stored, "application/octet-stream", step))

    def checkpoint(self) -> Path | None:
        """The newest committed checkpoint of an earlier attempt, or None: also where the file is gone or damaged."""
        if self._checkpoint is None:
            return None
        try:
            path = self._fetch(self._checkpoint.key)
        except NotFound:
            _log.warning("the checkpoint is gone; the run begins anew", key=self._checkpoint.key)
            return None
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self._checkpoint.sha256:
            _log.warning("the checkpoint is damaged; the run begins anew", key=self._checkpoint.key)
            return None
        return path

    def _fetch(self, key: str) -> Path:
        return self._store.fetch(key, self.workdir / "inputs")

"""A run without a platform: artifacts in memory, a reporter that remembers."""

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import scipy.io

from shared.artifacts import ArtifactStore
from shared.runs.body import Put, RunArtifacts
from shared.signals.dataset import Dataset


class RecordingReporter:
    """Keeps what it is told; asks to stop after `stop_after` looks."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.fractions: list[float] = []
        self.stages: list[str | None] = []
        self._stop_after = stop_after
        self._looks = 0

    def progress(self, fraction, *, stage=None, current=None, total=None):
        self.fractions.append(fraction)
        self.stages.append(stage)

    def metrics(self, step, **values):
        raise AssertionError("no metrics are expected")

    def should_stop(self):
        self._looks += 1
        return self._stop_after is not None and self._looks > self._stop_after


class FakeRun:
    """Uploads go in, files come out."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore("memory://")
        self.put: list[Put] = []
        self.workdir = folder
        self._inputs: dict[str, object] = {}

    def upload(self, name: str, source: Path | bytes) -> UUID:
        id = uuid4()
        key = f"uploads/{id}/{len(self._inputs)}"
        self.store.put(key, source)
        self._inputs[str(id)] = {"type": "upload", "name": name, "result": {}, "files": {name: key}}
        return id

    def artifacts(self) -> RunArtifacts:
        return RunArtifacts(self.store, "runs/1", self.workdir, self._inputs, self.put.append)

    def dataset(self) -> Dataset:
        return Dataset.open(lambda name: self.store.fetch(f"runs/1/{name}", self.workdir / "fetched"))


def mat_bytes(folder: Path, **variables: object) -> bytes:
    path = folder / "one.mat"
    scipy.io.savemat(path, variables)
    return path.read_bytes()


def signal(seed: int, samples: int = 6000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples)

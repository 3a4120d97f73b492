"""A recording reporter, artifacts in memory, and tiny synthetic datasets whose faults are easy to tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from shared.artifacts import ArtifactStore
from shared.contracts.specs import BearingGeometry
from shared.runs.body import Put, RunArtifacts
from shared.signals.dataset import DatasetWriter, RecordInfo

SAMPLE_RATE_HZ = 2000.0


@dataclass
class RecordingReporter:
    """Keeps what it is told. Asks to stop at the `stop_at`-th question (counted from 1), if that is given."""

    stop_at: int | None = None
    fractions: list[float] = field(default_factory=list)
    stages: list[str | None] = field(default_factory=list)
    points: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    asked: int = 0

    def progress(
        self, fraction: float, *, stage: str | None = None, current: int | None = None, total: int | None = None
    ) -> None:
        self.fractions.append(fraction)
        self.stages.append(stage)

    def metrics(self, step: int, **values: float) -> None:
        self.points.append((step, values))

    def should_stop(self) -> bool:
        self.asked += 1
        return self.stop_at is not None and self.asked >= self.stop_at


@dataclass
class Bench:
    """One store with the files of several runs, as the platform would keep them."""

    folder: Path
    store: ArtifactStore = field(default_factory=lambda: ArtifactStore("memory://"))
    inputs: dict[str, Any] = field(default_factory=dict)
    puts: dict[str, list[Put]] = field(default_factory=dict)

    def artifacts(self, run: str, resume: bool = False) -> RunArtifacts:
        """Artifacts of an attempt of `run`; with `resume`, its newest checkpoint is handed over."""
        seen = self.puts.setdefault(run, [])
        checkpoints = [put for put in seen if put.role == "checkpoint"]
        newest = checkpoints[-1].stored if resume and checkpoints else None
        return RunArtifacts(
            self.store, f"runs/{run}", self.folder / f"{run}-{uuid4().hex}", self.inputs, seen.append, newest
        )

    def files(self, run: str) -> dict[str, bytes]:
        """What the run made, by name."""
        return {put.name: self.store.read(put.stored.key) for put in self.puts[run] if put.role == "artifact"}

    def add_model(self, run: str) -> UUID:
        """Make the files of `run` an input that specs may name."""
        files = {put.name: put.stored.key for put in self.puts[run] if put.role == "artifact"}
        return self._pin("model", run, files)

    def add_dataset(self, records: Sequence[Mapping[str, Any]], name: str = "tiny", **manifest: Any) -> UUID:
        """Write a dataset and make it an input."""
        folder = self.folder / name
        with DatasetWriter(folder, manifest.get("channels", ["a"]), manifest.get("bearing")) as writer:
            for record in records:
                writer.add(**record)
            writer.close()
        files = {}
        for path in writer.files():
            key = f"datasets/{name}/{path.name}"
            self.store.put(key, path)
            files[path.name] = key
        return self._pin("dataset", name, files)

    def _pin(self, kind: str, name: str, files: dict[str, str]) -> UUID:
        ref = uuid4()
        self.inputs[str(ref)] = {"type": kind, "name": name, "result": {}, "files": files}
        return ref


#: Carrier in Hz and impacts per second of each synthetic fault.
FAULTS = {"healthy": (0.0, 0.0), "inner": (300.0, 30.0), "outer": (600.0, 12.0)}
GEOMETRY = BearingGeometry()


def signal_CL(fault: str, seed: int, samples: int = 4000, channels: int = 1) -> NDArray[np.float32]:
    """Noise, plus a ringing carrier struck at the rate of the fault."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((channels, samples))
    carrier_hz, rate_hz = FAULTS[fault]
    if rate_hz:
        since_s = (np.arange(samples) / SAMPLE_RATE_HZ + random.uniform(0, 1)) % (1 / rate_hz)
        signal += 4 * np.exp(-since_s * 150) * np.sin(2 * np.pi * carrier_hz * since_s)
    return (signal * random.uniform(0.5, 2)).astype(np.float32)


def tiny_records(units: int = 3, per_unit: int = 2, samples: int = 4000, channels: int = 1) -> list[dict[str, Any]]:
    """`units` units of every fault with `per_unit` records each, labelled by size (the unit's number) and load."""
    return [
        {
            "id": f"{fault}-{unit}-{number}",
            "fault": fault,
            "unit": f"{fault}-{unit}",
            "signal_CL": signal_CL(fault, 1000 * place + 10 * unit + number, samples, channels),
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "shaft_speed_rpm": 1200.0,
            "source": "synthetic",
            "labels": {"size": str(unit), "load": str(number)},
        }
        for place, fault in enumerate(FAULTS)
        for unit in range(units)
        for number in range(per_unit)
    ]


def record_info(id: str, fault: str, unit: str, labels: dict[str, str] | None = None, **more: Any) -> RecordInfo:
    """A record without a signal, for what looks at the manifest only."""
    return RecordInfo(
        id=id,
        fault=fault,
        unit=unit,
        labels=labels or {},
        sample_rate_hz=SAMPLE_RATE_HZ,
        shaft_speed_rpm=None,
        samples=more.get("samples", 1000),
        source="synthetic",
        same_unit_block=more.get("same_unit_block", False),
        sha256=more.get("sha256", sha256(id.encode()).hexdigest()),
        shard="shard-00000.h5",
    )

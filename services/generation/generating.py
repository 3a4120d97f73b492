"""`dataset.generate`: synthetic records to a dataset. Called by the task wrapper; knows neither Celery nor SQL.

Records are numbered fault by fault, unit by unit; number `i` depends on (seed, i) and its unit alone, so the bytes are
the same for any shard size.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.generation.publish import check_stop, dataset_result, publish
from shared.contracts.results import DatasetResult
from shared.contracts.specs import FAULTS, GenerateSpec
from shared.runs.body import Reporter, RunArtifacts
from shared.signals.dataset import DatasetWriter
from shared.signals.journal import JOURNAL_CHANNELS, journal_record
from shared.signals.synthesis import ROLLING_CHANNELS, Synthetic, rolling_record


@dataclass(frozen=True)
class _Family:
    channels: tuple[str, ...]
    record: Callable[[GenerateSpec, int, str, int], Synthetic]
    has_bearing: bool  #: whether the rolling-element geometry means anything


_FAMILIES = {
    "rolling_element": _Family(ROLLING_CHANNELS, rolling_record, has_bearing=True),
    "journal": _Family(JOURNAL_CHANNELS, journal_record, has_bearing=False),
}


def generate_dataset(spec: GenerateSpec, reporter: Reporter, artifacts: RunArtifacts) -> DatasetResult:
    """Make the records of `spec`. Raises `RunStopped` when asked to stop."""
    family = _FAMILIES[spec.family]
    faults = list(dict.fromkeys(spec.faults or FAULTS[spec.family]))
    folder = artifacts.workdir / "dataset"
    total = len(faults) * spec.units_per_fault * spec.records_per_unit
    with DatasetWriter(folder, list(family.channels), spec.bearing if family.has_bearing else None) as writer:
        for index, (fault, unit) in enumerate(_places(spec, faults)):
            check_stop(reporter)
            made = family.record(spec, index, fault, unit)
            writer.add(
                id=f"{index:06d}-{fault}",
                fault=fault,
                unit=f"{fault}/{unit:04d}",
                labels={"severity": _level(made.severity), "unit_number": f"{unit:04d}"},
                signal_CL=made.signal_CL,
                sample_rate_hz=spec.sample_rate_hz,
                shaft_speed_rpm=made.shaft_speed_rpm,
                source=f"synthetic {spec.family}, seed {spec.seed}, record {index}",
            )
            reporter.progress((index + 1) / total, stage="generate", current=index + 1, total=total)
        manifest = writer.close()
    publish(artifacts, writer, reporter)
    notes = ["Synthetic: a score on these records says nothing about real machines."]
    return dataset_result(manifest, spec.sample_rate_hz, notes, [])


def _places(spec: GenerateSpec, faults: list[str]) -> Iterator[tuple[str, int]]:
    for fault in faults:
        for unit in range(spec.units_per_fault):
            for _ in range(spec.records_per_unit):
                yield fault, unit


def _level(severity: float) -> str:
    """Thirds of the whole scale, so that a label means the same in every dataset."""
    return "low" if severity < 1 / 3 else "medium" if severity < 2 / 3 else "high"

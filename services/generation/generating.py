"""`dataset.generate`: synthetic records to a dataset. Called by the task wrapper; knows neither Celery nor SQL.

The bytes are the same for any shard size.
"""

from services.generation.publish import check_stop, dataset_result, publish
from shared.contracts.results import DatasetResult
from shared.contracts.specs import GenerateSpec
from shared.runs.body import Reporter, RunArtifacts
from shared.signals.dataset import DatasetWriter
from shared.signals.families import FAMILIES, places


def generate_dataset(spec: GenerateSpec, reporter: Reporter, artifacts: RunArtifacts) -> DatasetResult:
    """Make the records of `spec`. Raises `RunStopped` when asked to stop."""
    family = FAMILIES[spec.family]
    folder = artifacts.workdir / "dataset"
    total = sum(1 for _ in places(spec))
    with DatasetWriter(folder, list(family.channels), spec.bearing if family.has_bearing else None) as writer:
        for index, fault, unit in places(spec):
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


def _level(severity: float) -> str:
    """Thirds of the whole scale, so that a label means the same in every dataset."""
    return "low" if severity < 1 / 3 else "medium" if severity < 2 / 3 else "high"

"""A real training that takes half a second: a small network on records of the generator, judged by its validation loss.

There are few machines, so that the loss is far from nothing and moves with every parameter. It is the same each time
for the same point.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from services.training.training import train_model
from shared.contracts.specs import GenerateSpec, TrainingSpec
from shared.signals.families import FAMILIES, places
from tests.training.support import Bench, RecordingReporter

#: Four numbers, fewer trials than 100: `auto` takes a Gaussian process.
SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "weight_decay": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.8},
    "width": {"type": "int", "low": 4, "high": 12},
}
_DATA = GenerateSpec(
    name="small", faults=["healthy", "outer_race", "inner_race"], units_per_fault=8, records_per_unit=1,
    duration_s=1.6, sample_rate_hz=6000, severity=(0.4, 1.0), snr_db=(0.0, 9.0),
)  # fmt: skip
_WINDOW_S = 0.4


class SmallTraining:
    """Trains at points of `SPACE`; its dataset and its models are kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._bench = Bench(folder)
        self._dataset_id = self._add_dataset()
        self._trained = 0

    def _add_dataset(self) -> UUID:
        family = FAMILIES[_DATA.family]
        records = []
        for index, fault, unit in places(_DATA):
            made = family.record(_DATA, index, fault, unit)
            records.append(
                {
                    "id": f"{index:03d}-{fault}",
                    "fault": fault,
                    "unit": f"{fault}/{unit}",
                    "labels": {},
                    "signal_CL": made.signal_CL,
                    "sample_rate_hz": _DATA.sample_rate_hz,
                    "shaft_speed_rpm": made.shaft_speed_rpm,
                    "source": "synthetic",
                }
            )
        return self._bench.add_dataset(records, channels=list(family.channels), bearing=_DATA.bearing)

    def value(self, point: dict[str, Any]) -> float:
        """The least validation loss (cross entropy in nats) of the training at `point`: the body of `model.train`."""
        recipe = {"type": "cnn1d", "epochs": 10, "augment": False, **point}
        split = {"test_fraction": 0.1, "validation_fraction": 0.5}
        fields = {"name": "small", "dataset_id": self._dataset_id, "recipe": recipe, "split": split}
        spec = TrainingSpec.model_validate(fields | {"window_s": _WINDOW_S})
        self._trained += 1
        run = f"trial-{self._trained}"
        train_model(spec, RecordingReporter(), self._bench.artifacts(run))
        history = orjson.loads(self._bench.files(run)["history.json"])
        return float(min(epoch["validation_loss"] for epoch in history))

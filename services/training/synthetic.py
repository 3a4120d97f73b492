"""Synthetic records for the training side of one training, made in process. Called by `training.py`.

They never validate and never test, so a score stays one on real records. Their seed is derived from the training's:
with the same one, a generated dataset and its synthetic companions would share machines, also those held out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from services.training.windows import Float32
from shared.contracts.specs import FAULTS, BearingGeometry, GenerateSpec, SyntheticSpec
from shared.errors import UserError
from shared.runs.body import Reporter, RunStopped
from shared.signals.dataset import Dataset, RecordInfo, record_digest
from shared.signals.families import FAMILIES, places


@dataclass(frozen=True)
class Synthesis:
    """What is to be made."""

    spec: GenerateSpec
    only: bool  #: whether no real record trains
    left_out: tuple[str, ...]  #: faults of the dataset that cannot be made

    @property
    def size_bytes(self) -> int:
        """Of all signals as float32."""
        samples = round(self.spec.duration_s * self.spec.sample_rate_hz)
        records = sum(1 for _ in places(self.spec))
        return 4 * records * samples * len(FAMILIES[self.spec.family].channels)

    def make(self, reporter: Reporter) -> list[tuple[RecordInfo, Float32]]:
        """Every record with its signal, float32 [channel, sample]. Raises `RunStopped` on request."""
        spec = self.spec
        todo = list(places(spec))
        made = []
        for index, fault, unit in todo:
            if reporter.should_stop():
                raise RunStopped
            synthetic = FAMILIES[spec.family].record(spec, index, fault, unit)
            record = RecordInfo(
                id=f"~{index:06d}-{fault}",  # no record of a dataset may begin so
                fault=fault,
                unit=f"~{fault}/{unit:04d}",
                labels={},
                sample_rate_hz=spec.sample_rate_hz,
                shaft_speed_rpm=synthetic.shaft_speed_rpm,
                samples=synthetic.signal_CL.shape[1],
                source=f"synthetic {spec.family}, seed {spec.seed}, record {index}",
                same_unit_block=False,
                sha256=record_digest(synthetic.signal_CL),
                shard="",
            )
            made.append((record, synthetic.signal_CL))
            reporter.progress(0.0, stage="synthesising", current=index + 1, total=len(todo))
        return made

    def notes(self, synthetic_windows: int, train_windows: int) -> list[str]:
        """What a reader of the split must know."""
        made = f"{', '.join(self.spec.faults or ())} on {self.spec.units_per_fault} machines each"
        notes = [f"{synthetic_windows:,} of {train_windows:,} training windows are synthetic: {made}."]
        if self.left_out:
            notes.append(f"No synthetic records of {', '.join(self.left_out)}: it is not known how to make them.")
        return notes


def synthesis_of(
    asked: SyntheticSpec, dataset: Dataset, train: Sequence[RecordInfo], sample_rate_hz: float, seed: int
) -> Synthesis:
    """What `asked` means for this dataset, whose real training records are `train`.

    Raises `UserError` where its faults or channels cannot be made, or speed or bearing are known from nowhere."""
    faults = sorted({record.fault for record in dataset.records})
    family = max(FAULTS, key=lambda name: len(set(FAULTS[name]) & set(faults)))
    left_out = tuple(fault for fault in faults if fault not in FAULTS[family])
    _check_faults(asked, faults, left_out, family)
    _check_channels(dataset.channels, family)
    try:
        spec = GenerateSpec(
            name="synthetic",
            family=family,
            faults=[fault for fault in faults if fault not in left_out],
            units_per_fault=asked.units_per_fault,
            records_per_unit=asked.records_per_unit,
            duration_s=asked.duration_s,
            sample_rate_hz=sample_rate_hz,
            shaft_speed_rpm=asked.shaft_speed_rpm or _speed_range_rpm(train),
            speed_wander=asked.speed_wander,
            severity=asked.severity,
            snr_db=asked.snr_db,
            bearing=_bearing(asked, dataset, family),
            seed=int.from_bytes(hashlib.sha256(f"{seed}:synthetic".encode()).digest()[:4], "big"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["synthetic", *map(str, first["loc"])])
        raise UserError(f"{place}: {first['msg'].removeprefix('Value error, ')}.") from error
    return Synthesis(spec, asked.mode == "only", left_out)


def _check_faults(asked: SyntheticSpec, faults: list[str], left_out: tuple[str, ...], family: str) -> None:
    known = "; ".join(f"{name}: {', '.join(made)}" for name, made in FAULTS.items())
    if not set(faults) & set(FAULTS[family]) - {"healthy"}:
        raise UserError(
            f"synthetic: none of the dataset's faults can be made ({', '.join(faults)}).",
            remedy=f"Train without synthetic records, or import with fault_names that map to these: {known}.",
        )
    if asked.mode == "only" and left_out:
        raise UserError(
            f"synthetic.mode: only synthetic records are to train, and {', '.join(left_out)} cannot be made.",
            remedy=f"Use mode add, or import with fault_names that map to these: {known}.",
        )


def _check_channels(channels: list[str], family: str) -> None:
    made = FAMILIES[family].channels
    if len(made) == len(channels) == 1 or tuple(channels) == made:
        return
    wanted = "one channel" if len(made) == 1 else f"the channels {', '.join(made)}"
    raise UserError(
        f"synthetic: records of {family} have {wanted}, and the dataset has {', '.join(channels)}.",
        remedy=f"Train without synthetic records, or import the records with {wanted}.",
    )


def _speed_range_rpm(train: Sequence[RecordInfo]) -> tuple[float, float]:
    speeds_rpm = [record.shaft_speed_rpm for record in train if record.shaft_speed_rpm is not None]
    if not speeds_rpm:
        raise UserError(
            "synthetic.shaft_speed_rpm: no training record has a shaft speed to go by.",
            remedy="Give synthetic.shaft_speed_rpm as [low, high], or import the records with shaft_speed_rpm.",
        )
    return min(speeds_rpm), max(speeds_rpm)


def _bearing(asked: SyntheticSpec, dataset: Dataset, family: str) -> BearingGeometry:
    bearing = asked.bearing or dataset.bearing
    if bearing is None and FAMILIES[family].has_bearing:
        raise UserError(
            "synthetic.bearing: the dataset does not say which bearing it is.",
            remedy="Give synthetic.bearing, or import the records with bearing.",
        )
    return bearing or BearingGeometry()

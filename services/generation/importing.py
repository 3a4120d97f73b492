"""`dataset.import`: files of real records to a dataset. Called by the task wrapper; knows neither Celery nor SQL.

Two passes, so that nothing is held in memory: every file is read, checked, resampled and staged in the work folder;
then, when it is known which faults exist on one unit only, the records are written to shards. A bad file becomes a
`Reject` and the import goes on. The naming rule is in `label_rule.py`, the files in `shared/signals/readers.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.generation.label_rule import LabelRule, Named
from services.generation.publish import check_stop, dataset_result, publish
from shared.contracts.results import DatasetResult, Reject
from shared.contracts.specs import ImportSpec
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts
from shared.signals.dataset import DatasetWriter, Signal, record_digest
from shared.signals.mat_file import MIN_SAMPLES
from shared.signals.readers import read_record
from shared.signals.resample import resample_CL
from shared.signals.sample_rate import decide_sample_rate

#: Reading and resampling take most of the time, writing the rest.
_READ_SHARE = 0.9
_SHOWN_REASONS = 3


@dataclass(frozen=True)
class _Staged:
    """One accepted file, its signal at the target rate waiting in the work folder."""

    named: Named
    source: str
    shaft_speed_rpm: float | None
    path: Path


def import_dataset(spec: ImportSpec, reporter: Reporter, artifacts: RunArtifacts) -> DatasetResult:
    """Import the uploads of `spec` as one dataset.

    Raises `UserError` where fewer than two faults are left; `RunStopped` when asked."""
    rule = LabelRule(spec)
    staging = _Staging(spec, artifacts.workdir / "staged")
    staging.notes += rule.notes
    total = len(spec.uploads)
    for position, upload in enumerate(spec.uploads):
        check_stop(reporter)
        reporter.progress(_READ_SHARE * position / total, stage="read", current=position, total=total)
        pinned = artifacts.input(upload)
        for name in pinned.files:
            staging.take(name, pinned.path(name), rule)
    _check_enough(staging)
    folder = artifacts.workdir / "dataset"
    with DatasetWriter(folder, list(spec.channels), spec.bearing) as writer:
        _write(spec, staging, writer, reporter)
        manifest = writer.close()
    publish(artifacts, writer, reporter)
    return dataset_result(manifest, staging.target_hz, staging.notes, staging.rejects)


class _Staging:
    """The first pass: what was accepted, what was not and why, and what a reader must know."""

    def __init__(self, spec: ImportSpec, folder: Path) -> None:
        self.target_hz = spec.target_sample_rate_hz or min(spec.sample_rate_candidates_hz)
        self.accepted: list[_Staged] = []
        self.rejects: list[Reject] = []
        self.notes: list[str] = []
        self._spec = spec
        self._folder = folder
        self._source_of: dict[str, str] = {}
        self._ids: set[str] = set()

    def take(self, name: str, path: Path, rule: LabelRule) -> None:
        """Read one file and stage its signal, or note why not."""
        try:
            named = rule.name(name)
            signal_CL, speed_rpm, notes = self._read(name, path)
            self._refuse_repeated(name, signal_CL)
        except UserError as error:
            self.rejects.append(Reject(file=name, reason=error.message.removeprefix(f"{name}: "), remedy=error.remedy))
            return
        self.notes += notes
        named = named.with_id_not_in(self._ids)
        self._ids.add(named.id)
        self._folder.mkdir(parents=True, exist_ok=True)
        staged = self._folder / f"{len(self.accepted):06d}.npy"
        np.save(staged, signal_CL, allow_pickle=False)
        self.accepted.append(_Staged(named, name, speed_rpm, staged))

    def _read(self, name: str, path: Path) -> tuple[Signal, float | None, list[str]]:
        """Signal at the target rate, its shaft speed, and the decisions made on the way."""
        spec = self._spec
        raw = read_record(path, name, spec.channels, spec.shaft_speed_variable)
        notes = list(raw.notes)
        speed_rpm = raw.shaft_speed_rpm or spec.shaft_speed_rpm
        if raw.shaft_speed_rpm is None:
            given = f"{speed_rpm:g} rpm as given" if speed_rpm else "unknown"
            notes.append(f"{name}: the file names no shaft speed; {given}.")
        decision = decide_sample_rate(raw.signal_CL[0], spec.sample_rate_candidates_hz, speed_rpm)
        rate_hz = decision.sample_rate_hz
        if len(decision.evidence) > 1:
            notes.append(
                f"{name}: {rate_hz:g} Hz by its shaft line at {decision.shaft_line_hz:.2f} Hz"
                f" (confidence {decision.confidence:.4f})."
            )
        if rate_hz < self.target_hz:
            raise UserError(
                f"{name}: recorded at {rate_hz:g} Hz, below the target of {self.target_hz:g} Hz: the empty band above"
                f" {rate_hz / 2:g} Hz would tell the record, not the fault.",
                remedy=f"Set target_sample_rate_hz to {rate_hz:g} or less.",
            )
        if rate_hz != self.target_hz:
            notes.append(f"{name}: resampled to {self.target_hz:g} Hz with anti-aliasing.")
        signal_CL = resample_CL(raw.signal_CL, rate_hz, self.target_hz)
        if signal_CL.shape[1] < MIN_SAMPLES:
            raise UserError(
                f"{name}: {signal_CL.shape[1]} samples at {self.target_hz:g} Hz; {MIN_SAMPLES} are the least.",
                remedy="Send a longer record, or raise target_sample_rate_hz.",
            )
        return signal_CL, speed_rpm, notes

    def _refuse_repeated(self, name: str, signal_CL: Signal) -> None:
        digest = record_digest(signal_CL)
        if digest in self._source_of:
            raise UserError(
                f"{name}: the same signal as in {self._source_of[digest]}.",
                remedy="Send each record once: a copy on both sides of a split makes a score worthless.",
            )
        self._source_of[digest] = name


def _check_enough(staging: _Staging) -> None:
    faults = {staged.named.fault for staged in staging.accepted}
    if len(faults) >= 2:
        return
    reasons = "; ".join(f"{reject.file}: {reject.reason}" for reject in staging.rejects[:_SHOWN_REASONS])
    found = f"only the fault {min(faults)!r} was found" if faults else "no record could be imported"
    rejected = f" ({len(staging.rejects)} files rejected, first: {reasons})" if reasons else ""
    raise UserError(
        f"A dataset needs two faults or more, and {found}{rejected}.",
        remedy=staging.rejects[0].remedy if staging.rejects else "Add records of another fault, or check label_rule.",
    )


def _write(spec: ImportSpec, staging: _Staging, writer: DatasetWriter, reporter: Reporter) -> None:
    """The second pass: records to shards, those of a single-unit fault in blocks."""
    single = _single_unit_faults(staging.accepted) if spec.single_unit_blocks > 1 else set()
    for fault in sorted(single):
        staging.notes.append(
            f"{fault} exists on one unit only: each of its records is cut into {spec.single_unit_blocks} time-disjoint"
            ' blocks, marked "same unit".'
        )
    for position, staged in enumerate(staging.accepted):
        check_stop(reporter)
        signal_CL: Signal = np.load(staged.path, allow_pickle=False)
        _add(
            writer, staged, signal_CL, staging.target_hz, spec.single_unit_blocks if staged.named.fault in single else 1
        )
        staged.path.unlink()
        done = (position + 1) / len(staging.accepted)
        reporter.progress(
            _READ_SHARE + (1 - _READ_SHARE) * done, stage="write", current=position + 1, total=len(staging.accepted)
        )


def _single_unit_faults(accepted: list[_Staged]) -> set[str]:
    units: dict[str, set[str]] = {}
    for staged in accepted:
        units.setdefault(staged.named.fault, set()).add(staged.named.unit)
    return {fault for fault, names in units.items() if len(names) == 1}


def _add(writer: DatasetWriter, staged: _Staged, signal_CL: Signal, sample_rate_hz: float, blocks: int) -> None:
    length = signal_CL.shape[1] // blocks
    if length < MIN_SAMPLES:
        raise UserError(
            f"{staged.source}: {signal_CL.shape[1]} samples are too few for {blocks} blocks of {MIN_SAMPLES} or more.",
            remedy="Lower single_unit_blocks, or send longer records.",
        )
    for block in range(blocks):
        writer.add(
            id=staged.named.id if blocks == 1 else f"{staged.named.id}.block-{block:02d}",
            fault=staged.named.fault,
            unit=staged.named.unit,
            labels=staged.named.labels,
            signal_CL=signal_CL if blocks == 1 else signal_CL[:, block * length : (block + 1) * length],
            sample_rate_hz=sample_rate_hz,
            shaft_speed_rpm=staged.shaft_speed_rpm,
            source=staged.source,
            same_unit_block=blocks > 1,
        )

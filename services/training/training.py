"""Turns a training spec into weights: load, split, synthesise, cut, fit, measure, write.

Called by the task; knows neither queue nor SQL.

What happens is told to a `Reporter`; files come from and go to `RunArtifacts`.
"""

import json
import platform
from dataclasses import asdict, dataclass, replace

import numpy as np
import scipy
import sklearn
import torch

from services.training.cost import cost_of
from services.training.model_files import HISTORY_NAME, MODEL_NAME, SPLIT_NAME, ModelCard, SplitFile
from services.training.models import Fit, Model, Setup, new_model
from services.training.signals import signal_reader
from services.training.splits import Split, split_records, without_training
from services.training.synthetic import Synthesis, synthesis_of
from services.training.windows import (
    Piece,
    WindowSet,
    cut,
    head_and_tail,
    one_sample_rate_hz,
    whole,
    window_samples,
)
from shared.contracts.results import ModelCost, TrainingResult
from shared.contracts.specs import TrainingSpec
from shared.runs.body import Reporter, RunArtifacts
from shared.signals.dataset import Dataset

JSON = "application/json"


@dataclass(frozen=True)
class Sides:
    """What a model learns from and is selected by."""

    train: WindowSet  #: overlapping
    validation: WindowSet  #: not overlapping; always real
    synthetic_windows: int  #: of `train`


def train_model(spec: TrainingSpec, reporter: Reporter, artifacts: RunArtifacts) -> TrainingResult:
    """Train one model on one split of one dataset.

    Raises `UserError` if the data do not fit the spec, `RunStopped` when the reporter says so."""
    source = artifacts.input(spec.dataset_id)
    reporter.progress(0.0, stage="loading")
    dataset = Dataset.open(source.path)
    setup = setup_of(dataset, spec)
    split = split_records(dataset.records, spec.split, spec.seed)
    synthesis = _synthesis(spec, dataset, split, setup)
    model = new_model(spec.recipe, setup)
    if synthesis and synthesis.only:
        split = without_training(split, dataset.records)
    sides = training_windows(dataset, split, setup, spec.overlap, reporter, synthesis)
    if synthesis:
        notes = [*split.report.notes, *synthesis.notes(sides.synthetic_windows, len(sides.train))]
        split = replace(split, report=split.report.model_copy(update={"notes": notes}))

    fit = model.fit(sides.train, sides.validation, reporter, artifacts)

    reporter.progress(1.0, stage="saving")
    weights = model.save(artifacts.workdir)
    cost = cost_of(model, sides.validation, weights.stat().st_size)
    artifacts.put(model.file_name, weights)
    card = _card(spec, source.name, dataset, setup, model, sides)
    artifacts.put(MODEL_NAME, card.model_dump_json(indent=1).encode(), JSON)
    artifacts.put(SPLIT_NAME, SplitFile.model_validate(asdict(split)).model_dump_json(indent=1).encode(), JSON)
    artifacts.put(HISTORY_NAME, json.dumps(fit.history, indent=1).encode(), JSON)
    return _result(spec, source.name, setup, split, sides, fit, cost)


def _synthesis(spec: TrainingSpec, dataset: Dataset, split: Split, setup: Setup) -> Synthesis | None:
    if spec.synthetic is None:
        return None
    train = [record for record in dataset.records if record.id in split.train]
    return synthesis_of(spec.synthetic, dataset, train, setup.sample_rate_hz, spec.seed)


def setup_of(dataset: Dataset, spec: TrainingSpec) -> Setup:
    """What the model must know of the dataset. Raises `UserError` for mixed sampling rates or too short a window."""
    sample_rate_hz = one_sample_rate_hz(dataset.records)
    speeds_known = all(record.shaft_speed_rpm is not None for record in dataset.records)
    return Setup(
        faults=tuple(sorted({record.fault for record in dataset.records})),
        channels=tuple(dataset.channels),
        window_samples=window_samples(spec.recipe_window_s, sample_rate_hz),
        sample_rate_hz=sample_rate_hz,
        bearing=dataset.bearing if speeds_known else None,
        seed=spec.seed,
    )


def training_windows(
    dataset: Dataset,
    split: Split,
    setup: Setup,
    overlap: float,
    reporter: Reporter,
    synthesis: Synthesis | None = None,
) -> Sides:
    """Windows to learn from and to select by; signals of the test side are not read.

    Raises `UserError` for a record shorter than a window or too little memory, `RunStopped` on request."""
    by_id = {record.id: record for record in dataset.records}
    train: list[Piece] = [whole(by_id[id]) for id in split.train if id not in split.tail]
    validation: list[Piece] = [whole(by_id[id]) for id in split.validation]
    for id in split.tail:
        head, tail = head_and_tail(by_id[id], split.tail_fraction, setup.window_samples)
        train.append(head)
        validation.append(tail)

    records = [by_id[id] for id in (*split.train, *split.validation)]
    besides_bytes = synthesis.size_bytes if synthesis else 0
    real_CL = signal_reader(dataset, records, reporter, besides_bytes=besides_bytes)
    made = synthesis.make(reporter) if synthesis else []
    signals = {record.id: signal_CL for record, signal_CL in made}
    if synthesis and synthesis.only:
        train = []
    learned = cut(
        [*train, *(whole(record) for record, _ in made)],
        lambda record: signals[record.id] if record.id in signals else real_CL(record),
        setup.faults,
        setup.window_samples,
        overlap,
    )
    return Sides(
        train=learned,
        validation=cut(validation, real_CL, setup.faults, setup.window_samples),
        synthetic_windows=int(np.count_nonzero(learned.record_N >= len(train))),
    )


def _result(
    spec: TrainingSpec, dataset_name: str, setup: Setup, split: Split, sides: Sides, fit: Fit, cost: ModelCost
) -> TrainingResult:
    return TrainingResult(
        model=spec.recipe.type,
        dataset=dataset_name,
        faults=list(setup.faults),
        parameters=cost.parameters,
        epochs=fit.epochs,
        best_epoch=fit.best_epoch,
        window_s=spec.recipe_window_s,
        train_windows=len(sides.train),
        validation_windows=len(sides.validation),
        validation_accuracy=fit.validation_accuracy,
        validation_macro_f1=fit.validation_macro_f1,
        split=split.report,
        resumed_from_step=fit.resumed_from_step,
        cost=cost,
        synthetic_windows=sides.synthetic_windows,
    )


def _card(
    spec: TrainingSpec, dataset_name: str, dataset: Dataset, setup: Setup, model: Model, sides: Sides
) -> ModelCard:
    return ModelCard(
        name=spec.name,
        recipe=spec.recipe,
        weights=model.file_name,
        faults=list(setup.faults),
        channels=list(setup.channels),
        sample_rate_hz=setup.sample_rate_hz,
        window_s=spec.recipe_window_s,
        window_samples=setup.window_samples,
        bearing=setup.bearing,
        dataset_id=spec.dataset_id,
        dataset_name=dataset_name,
        dataset_digest=dataset.digest,
        split=spec.split,
        synthetic=spec.synthetic,
        synthetic_windows=sides.synthetic_windows,
        seed=spec.seed,
        versions=_versions(),
        **model.config(),
    )


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
    }

"""Turns a training spec into weights: load, split, cut, fit, write. Called by the task; knows neither queue nor SQL.

What happens is told to a `Reporter`; files come from and go to `RunArtifacts`.
"""

import json
import platform
from dataclasses import asdict

import numpy as np
import scipy
import sklearn
import torch

from services.training.cost import cost_of
from services.training.model_files import HISTORY_NAME, MODEL_NAME, SPLIT_NAME, ModelCard, SplitFile
from services.training.models import Fit, Model, Setup, new_model
from services.training.signals import signal_reader
from services.training.splits import Split, split_records
from services.training.windows import (
    Piece,
    WindowSet,
    cut,
    head_and_tail,
    one_sample_rate_hz,
    whole,
    window_samples,
)
from shared.contracts.results import TrainingResult
from shared.contracts.specs import TrainingSpec
from shared.runs.body import Reporter, RunArtifacts
from shared.signals.dataset import Dataset

JSON = "application/json"


def train_model(spec: TrainingSpec, reporter: Reporter, artifacts: RunArtifacts) -> TrainingResult:
    """Train one model on one split of one dataset.

    Raises `UserError` if the data do not fit the spec, `RunStopped` when the reporter says so."""
    source = artifacts.input(spec.dataset_id)
    reporter.progress(0.0, stage="loading")
    dataset = Dataset.open(source.path)
    setup = setup_of(dataset, spec)
    split = split_records(dataset.records, spec.split, spec.seed)
    train, validation = training_windows(dataset, split, setup, spec.overlap, reporter)

    model = new_model(spec.recipe, setup)
    fit = model.fit(train, validation, reporter, artifacts)

    reporter.progress(1.0, stage="saving")
    file_bytes = _write(spec, source.name, dataset, setup, split, model, fit, artifacts)
    return TrainingResult(
        model=spec.recipe.type,
        dataset=source.name,
        faults=list(setup.faults),
        parameters=model.parameters(),
        epochs=fit.epochs,
        best_epoch=fit.best_epoch,
        window_s=window_s_of(spec),
        train_windows=len(train),
        validation_windows=len(validation),
        validation_accuracy=fit.validation_accuracy,
        validation_macro_f1=fit.validation_macro_f1,
        split=split.report,
        resumed_from_step=fit.resumed_from_step,
        cost=cost_of(model, validation, file_bytes),
    )


def window_s_of(spec: TrainingSpec) -> float:
    """The window that is asked for, or the recipe's own."""
    return spec.recipe.default_window_s if spec.window_s is None else spec.window_s


def setup_of(dataset: Dataset, spec: TrainingSpec) -> Setup:
    """What the model must know of the dataset. Raises `UserError` for mixed sampling rates or too short a window."""
    sample_rate_hz = one_sample_rate_hz(dataset.records)
    speeds_known = all(record.shaft_speed_rpm is not None for record in dataset.records)
    return Setup(
        faults=tuple(sorted({record.fault for record in dataset.records})),
        channels=tuple(dataset.channels),
        window_samples=window_samples(window_s_of(spec), sample_rate_hz),
        sample_rate_hz=sample_rate_hz,
        bearing=dataset.bearing if speeds_known else None,
        seed=spec.seed,
    )


def training_windows(
    dataset: Dataset, split: Split, setup: Setup, overlap: float, reporter: Reporter
) -> tuple[WindowSet, WindowSet]:
    """Windows to learn from (overlapping) and to select by (not overlapping); signals of the test side are not read.

    Raises `UserError` for a record shorter than a window, `RunStopped` on request."""
    by_id = {record.id: record for record in dataset.records}
    train: list[Piece] = [whole(by_id[id]) for id in split.train if id not in split.tail]
    validation: list[Piece] = [whole(by_id[id]) for id in split.validation]
    for id in split.tail:
        head, tail = head_and_tail(by_id[id], split.tail_fraction, setup.window_samples)
        train.append(head)
        validation.append(tail)

    signal_CL = signal_reader(dataset, [by_id[id] for id in (*split.train, *split.validation)], reporter)
    return (
        cut(train, signal_CL, setup.faults, setup.window_samples, overlap),
        cut(validation, signal_CL, setup.faults, setup.window_samples),
    )


def _write(
    spec: TrainingSpec,
    dataset_name: str,
    dataset: Dataset,
    setup: Setup,
    split: Split,
    model: Model,
    fit: Fit,
    artifacts: RunArtifacts,
) -> int:
    """Put the files of the model; returns the bytes of its weights."""
    card = ModelCard(
        name=spec.name,
        recipe=spec.recipe,
        weights=model.file_name,
        faults=list(setup.faults),
        channels=list(setup.channels),
        sample_rate_hz=setup.sample_rate_hz,
        window_s=window_s_of(spec),
        window_samples=setup.window_samples,
        bearing=setup.bearing,
        dataset_id=spec.dataset_id,
        dataset_name=dataset_name,
        dataset_digest=dataset.digest,
        split=spec.split,
        seed=spec.seed,
        versions=_versions(),
        **model.config(),
    )
    artifacts.workdir.mkdir(parents=True, exist_ok=True)
    weights = model.save(artifacts.workdir)
    artifacts.put(model.file_name, weights)
    artifacts.put(MODEL_NAME, card.model_dump_json(indent=1).encode(), JSON)
    artifacts.put(SPLIT_NAME, SplitFile.model_validate(asdict(split)).model_dump_json(indent=1).encode(), JSON)
    artifacts.put(HISTORY_NAME, json.dumps(fit.history, indent=1).encode(), JSON)
    return weights.stat().st_size


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
    }

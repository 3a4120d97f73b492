"""Scores models on the records that were held out when they were trained, by record and by window.

Several models are folds of one experiment: their test sides are pooled, and no record may be in two of them. A
record's score is the mean of the probabilities of its windows, which do not overlap.
"""

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.folds import check_dataset, check_folds
from services.training.leaks import leak_sentences, pooled_report
from services.training.model_files import ModelCard, SplitFile, load_model, read_card, read_split
from services.training.scores import Predictions, interval_method, scored
from services.training.signals import signal_reader
from services.training.windows import WindowSet, cut, whole
from shared.contracts.results import EvaluationResult, Scores
from shared.contracts.specs import EvaluationSpec
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped
from shared.signals.dataset import Dataset, RecordInfo


@dataclass(frozen=True)
class Fold:
    """One model and its own test side."""

    card: ModelCard
    split: SplitFile
    records: tuple[RecordInfo, ...]
    probability_NK: NDArray[np.float64]  #: [window, fault]
    record_N: NDArray[np.int64]  #: place of each window's record in `records`

    @property
    def record_probability_RK(self) -> NDArray[np.float64]:
        """Mean over the windows of each record, [record, fault]."""
        sums_RK = np.zeros((len(self.records), self.probability_NK.shape[1]))
        np.add.at(sums_RK, self.record_N, self.probability_NK)
        return sums_RK / np.bincount(self.record_N, minlength=len(self.records))[:, None]


def evaluate_model(spec: EvaluationSpec, reporter: Reporter, artifacts: RunArtifacts) -> EvaluationResult:
    """Score the models of `spec` on their test sides.

    Raises `UserError` if they are not folds of one experiment or do not fit their dataset, `RunStopped` when the
    reporter says so."""
    inputs = [artifacts.input(model_id) for model_id in spec.model_ids]
    cards = [read_card(model.path) for model in inputs]
    splits = [read_split(model.path) for model in inputs]
    check_folds(cards, splits)
    dataset = Dataset.open(artifacts.input(cards[0].dataset_id).path)
    for card, split in zip(cards, splits, strict=True):
        check_dataset(dataset, card, split)

    folds = []
    for place, (model, card, split) in enumerate(zip(inputs, cards, splits, strict=True)):

        def tell(share: float, done: int = place) -> None:
            if reporter.should_stop():
                raise RunStopped
            fraction = 0.95 * (done + share) / len(inputs)
            reporter.progress(fraction, stage="predicting", current=done, total=len(inputs))

        tell(0.0)
        windows = held_out_windows(dataset, card, split, reporter)
        probability_NK = load_model(card, model.path).probability_NK(windows, tell)
        if not np.isfinite(probability_NK).all():
            raise UserError(f"The weights of model {card.name!r} give no numbers.", remedy="Train the model again.")
        folds.append(Fold(card, split, windows.records, probability_NK, windows.record_N))

    reporter.progress(0.95, stage="scoring")
    result = _result(spec, [model.name for model in inputs], dataset, folds)
    _write(spec, dataset, folds, result, artifacts)
    return result


def held_out_windows(dataset: Dataset, card: ModelCard, split: SplitFile, reporter: Reporter) -> WindowSet:
    """Windows of the test side: whole records, no overlap."""
    by_id = {record.id: record for record in dataset.records}
    records = [by_id[id] for id in split.test]
    read = signal_reader(dataset, records, reporter)
    return cut([whole(record) for record in records], read, card.faults, card.window_samples)


def _result(spec: EvaluationSpec, names: list[str], dataset: Dataset, folds: list[Fold]) -> EvaluationResult:
    faults = folds[0].card.faults
    by_record = _pooled(folds, faults, lambda fold: (fold.record_probability_RK, np.arange(len(fold.records))))
    by_window = _pooled(folds, faults, lambda fold: (fold.probability_NK, fold.record_N))
    counts = np.bincount(by_record.truth_N, minlength=len(faults))
    splits = [fold.split for fold in folds]
    split = pooled_report(dataset.records, splits)
    shared_units = _shared_per_fault(folds, set(split.shared_units))
    return EvaluationResult(
        models=names,
        model_type=folds[0].card.recipe.type,
        faults=faults,
        folds=len(folds),
        record=_with_shared(
            scored("record", by_record, faults, spec.confidence, spec.resamples, spec.seed), shared_units
        ),
        window=_with_shared(
            scored("window", by_window, faults, spec.confidence, spec.resamples, spec.seed), shared_units
        ),
        majority_accuracy=float(counts.max() / counts.sum()),
        split=split,
        leaks=leak_sentences(dataset.records, splits),
        interval_method=interval_method(spec.confidence, spec.resamples),
        window_s=folds[0].card.window_s,
    )


def _shared_per_fault(folds: list[Fold], shared: set[str]) -> dict[str, int]:
    """How many of the tested units of each fault were trained on too."""
    tested = {(record.fault, record.unit) for fold in folds for record in fold.records}
    return Counter(fault for fault, unit in tested if unit in shared)


def _with_shared(scores: Scores, shared: dict[str, int]) -> Scores:
    told = [score.model_copy(update={"shared_units": shared.get(score.fault, 0)}) for score in scores.per_fault]
    return scores.model_copy(update={"per_fault": told})


def _pooled(
    folds: list[Fold],
    faults: list[str],
    rows_of: Callable[[Fold], tuple[NDArray[np.float64], NDArray[np.int64]]],
) -> Predictions:
    """Most probable fault, truth and unit of each row (record or window) of all folds."""
    place = {fault: index for index, fault in enumerate(faults)}
    truth, predicted, units = [], [], []
    for fold in folds:
        probability_NK, record_N = rows_of(fold)
        predicted.append(probability_NK.argmax(axis=1))
        truth.append(np.array([place[record.fault] for record in fold.records])[record_N])
        units.append(np.array([record.unit for record in fold.records])[record_N])
    return Predictions(np.concatenate(truth), np.concatenate(predicted), np.concatenate(units))


def _write(
    spec: EvaluationSpec, dataset: Dataset, folds: list[Fold], result: EvaluationResult, artifacts: RunArtifacts
) -> None:
    """`predictions.json` per record, `windows.npz` per window (no pickled arrays), `report.json`."""
    faults = result.faults
    predictions = [
        {
            "record": record.id,
            "unit": record.unit,
            "labels": record.labels,
            "model": str(spec.model_ids[place]),
            "truth": record.fault,
            "predicted": faults[int(probability_K.argmax())],
            "probabilities": {fault: round(float(p), 6) for fault, p in zip(faults, probability_K, strict=True)},
            "windows": int(np.count_nonzero(fold.record_N == row)),
        }
        for place, fold in enumerate(folds)
        for row, (record, probability_K) in enumerate(zip(fold.records, fold.record_probability_RK, strict=True))
    ]
    offsets = np.cumsum([0, *(len(fold.records) for fold in folds)])
    table = io.BytesIO()
    np.savez_compressed(
        table,
        faults=np.array(faults),
        record_ids=np.array([record.id for fold in folds for record in fold.records]),
        record=np.concatenate([fold.record_N + offset for fold, offset in zip(folds, offsets, strict=False)]),
        probability=np.concatenate([fold.probability_NK for fold in folds]).astype(np.float32),
    )
    report = {
        **result.model_dump(mode="json"),
        "spec": spec.model_dump(mode="json"),
        "dataset": {"name": folds[0].card.dataset_name, "digest": dataset.digest},
    }
    artifacts.put("predictions.json", json.dumps(predictions, indent=1).encode(), "application/json")
    artifacts.put("windows.npz", table.getvalue())
    artifacts.put("report.json", json.dumps(report, indent=1).encode(), "application/json")

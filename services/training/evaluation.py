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

from services.training.leaks import leak_sentences, pooled_report
from services.training.model_files import ModelCard, SplitFile, load_model, read_card, read_split
from services.training.scores import Predictions, interval_method, scored
from services.training.windows import WindowSet, cut, whole
from shared.contracts.results import EvaluationResult
from shared.contracts.specs import EvaluationSpec
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped
from shared.signals.dataset import Dataset, RecordInfo

REMEDY_FOLDS = "Evaluate models together only if they are folds of one experiment; otherwise one evaluation for each."


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

    Raises `UserError` if they are not folds of one experiment, `RunStopped` when the reporter says so."""
    inputs = [artifacts.input(model_id) for model_id in spec.model_ids]
    cards = [read_card(model.path) for model in inputs]
    splits = [read_split(model.path) for model in inputs]
    check_folds(cards, splits)
    dataset = Dataset.open(artifacts.input(cards[0].dataset_id).path)
    if dataset.digest != cards[0].dataset_digest:
        raise UserError(
            f"Dataset {cards[0].dataset_name!r} is not the one that the model was trained on.",
            remedy="Train the model again on the present dataset.",
        )

    folds = []
    for place, (model, card, split) in enumerate(zip(inputs, cards, splits, strict=True)):

        def tell(share: float, done: int = place) -> None:
            if reporter.should_stop():
                raise RunStopped
            fraction = 0.95 * (done + share) / len(inputs)
            reporter.progress(fraction, stage="predicting", current=done, total=len(inputs))

        tell(0.0)
        windows = held_out_windows(dataset, card, split)
        probability_NK = load_model(card, model.path).probability_NK(windows, tell)
        folds.append(Fold(card, split, windows.records, probability_NK, windows.record_N))

    reporter.progress(0.95, stage="scoring")
    result = _result(spec, [model.name for model in inputs], dataset, folds)
    _write(spec, dataset, folds, result, artifacts)
    return result


def check_folds(cards: list[ModelCard], splits: list[SplitFile]) -> None:
    """Raise `UserError` unless the models can be pooled: same dataset, recipe and faults, disjoint test sides."""
    for what, values in (
        ("datasets", {card.dataset_digest for card in cards}),
        ("types of recipe", {card.recipe.type for card in cards}),
        ("faults", {tuple(card.faults) for card in cards}),
    ):
        if len(values) > 1:
            raise UserError(f"The models have different {what}.", remedy=REMEDY_FOLDS)
    seen = Counter(id for split in splits for id in split.test)
    twice = sorted(id for id, times in seen.items() if times > 1)
    if twice:
        raise UserError(f"Records on the test side of several models: {', '.join(twice[:10])}.", remedy=REMEDY_FOLDS)


def held_out_windows(dataset: Dataset, card: ModelCard, split: SplitFile) -> WindowSet:
    """Windows of the test side, whole records, no overlap. Raises `UserError` for a record the dataset lacks."""
    by_id = {record.id: record for record in dataset.records}
    missing = [id for id in split.test if id not in by_id]
    if missing:
        raise UserError(f"The dataset has no record {missing[0]!r}.", remedy="Train the model again.")
    return cut([whole(by_id[id]) for id in split.test], dataset.signal_CL, card.faults, card.window_samples)


def _result(spec: EvaluationSpec, names: list[str], dataset: Dataset, folds: list[Fold]) -> EvaluationResult:
    faults = folds[0].card.faults
    by_record = _pooled(folds, faults, lambda fold: (fold.record_probability_RK, np.arange(len(fold.records))))
    by_window = _pooled(folds, faults, lambda fold: (fold.probability_NK, fold.record_N))
    counts = np.bincount(by_record.truth_N, minlength=len(faults))
    splits = [fold.split for fold in folds]
    return EvaluationResult(
        models=names,
        model_type=folds[0].card.recipe.type,
        faults=faults,
        folds=len(folds),
        record=scored("record", by_record, faults, spec.confidence, spec.resamples, spec.seed),
        window=scored("window", by_window, faults, spec.confidence, spec.resamples, spec.seed),
        majority_accuracy=float(counts.max() / counts.sum()),
        split=pooled_report(dataset.records, splits),
        leaks=leak_sentences(dataset.records, splits),
        interval_method=interval_method(spec.confidence, spec.resamples),
    )


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

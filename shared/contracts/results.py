"""What the bodies return; the `result` of an envelope. Small: arrays and files go to the artifact store."""

from typing import Literal

from pydantic import Field

from shared.contracts.base import View


class Reject(View):
    """One file that was not imported."""

    file: str
    reason: str
    remedy: str


class DatasetResult(View):
    """`dataset.import` and `dataset.generate`."""

    records: int
    units: int  #: distinct physical units (bearings, machines)
    seconds: float  #: total length of the signals
    sample_rate_hz: float
    channels: list[str]
    faults: dict[str, int]  #: records per fault
    labels: dict[str, list[str]]  #: values seen of each label that a split may use
    digest: str  #: sha256 over the records' digests in order
    notes: list[str] = Field(
        default_factory=list
    )  #: decisions a reader must know, e.g. a sampling rate found by spectrum
    rejects: list[Reject] = Field(default_factory=list)


class Interval(View):
    """A score in [0, 1] with its confidence interval."""

    value: float
    low: float
    high: float


class SplitReport(View):
    """How training and test records were told apart, and what they share."""

    by: str
    held_out: list[str]
    train_records: int
    validation_records: int
    test_records: int
    train_units: int
    test_units: int
    shared_units: list[str]  #: physical units on both sides: what leaks
    badge: Literal["unseen units", "some shared units", "same units"]
    notes: list[str] = Field(default_factory=list)  #: where the split could not follow the groups, and how it validates


class ModelCost(View):
    """What a trained model costs to keep and to ask."""

    parameters: int  #: trainable weights, or tree nodes of a forest
    file_bytes: int  #: of the file of its weights
    flops: int | None  #: floating-point operations to classify one window; None: not counted, as for a forest
    latency_ms: float  #: median time to classify one window on one thread of the processor that trained it


class TrainingResult(View):
    """`model.train`."""

    model: str  #: recipe type
    dataset: str
    faults: list[str]  #: in the order of the model's outputs
    parameters: int  #: trainable weights, or tree nodes of a forest
    epochs: int  #: epochs run (1 for a forest)
    best_epoch: int
    train_windows: int
    validation_windows: int
    validation_accuracy: float  #: by window; selects, never reported as the headline
    validation_macro_f1: float
    split: SplitReport
    resumed_from_step: int | None = None
    window_s: float | None = None  #: as asked for, or the recipe's own; None: written before results said so
    cost: ModelCost | None = None  #: None: written before results said so
    synthetic_windows: int = 0  #: of `train_windows`


class FaultScore(View):
    """How one fault is recognised."""

    fault: str
    count: int
    units: int
    recall: Interval
    precision: float
    f1: float
    shared_units: int | None = None  #: how many of `units` were trained on too; None: not told


class Scores(View):
    """Scores over records or over windows."""

    unit: Literal["record", "window"]
    count: int
    accuracy: Interval
    macro_f1: Interval
    per_fault: list[FaultScore]
    confusion: list[list[int]]  #: rows truth, columns prediction, in the order of `faults`


class EvaluationResult(View):
    """`model.evaluate`."""

    models: list[str]
    model_type: str
    faults: list[str]
    folds: int
    record: Scores
    window: Scores
    majority_accuracy: float  #: what always naming the most frequent fault would score, by record
    split: SplitReport  #: pooled over the folds
    leaks: list[str]  #: sentences, empty if nothing leaks
    interval_method: str
    window_s: float | None = None  #: of the models' windows; None: written before results said so

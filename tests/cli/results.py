"""Results as the workers give them, small enough to read."""

from typing import Any

from shared.contracts.results import EvaluationResult, FaultScore, Interval, Scores, SplitReport

FAULTS = ["ball", "healthy", "inner_race", "outer_race"]
CONFUSION = [[2, 0, 1, 3], [0, 6, 0, 0], [0, 0, 6, 0], [1, 0, 0, 5]]


def dataset() -> dict[str, Any]:
    """Of an import."""
    return {
        "records": 24,
        "units": 10,
        "seconds": 186.0,
        "sample_rate_hz": 12000.0,
        "channels": ["DE_time"],
        "faults": {"ball": 6, "healthy": 6, "inner_race": 6, "outer_race": 6},
        "labels": {"size_mils": ["007", "014", "021"], "load_hp": ["0", "1"]},
        "digest": "ab" * 32,
        "notes": ["97_normal_0hp.mat was taken as 48,000 Hz by its shaft lines."],
        "rejects": [],
    }


def split(shared: list[str] | None = None) -> SplitReport:
    """By size, folds pooled."""
    shared = ["healthy"] if shared is None else shared
    badge: Any = "some shared units" if len(shared) == 1 else "same units" if shared else "unseen units"
    return SplitReport(
        by="size_mils", held_out=["007", "014", "021"], train_records=24, validation_records=8, test_records=24,
        train_units=10, test_units=10, shared_units=shared, badge=badge,
    )  # fmt: skip


def training(spec: dict[str, Any]) -> dict[str, Any]:
    """Of a training."""
    return {
        "model": spec["recipe"]["type"],
        "dataset": "cwru",
        "faults": FAULTS,
        "parameters": 12345,
        "epochs": 20,
        "best_epoch": 14,
        "train_windows": 900,
        "validation_windows": 200,
        "validation_accuracy": 0.91,
        "validation_macro_f1": 0.9,
        "split": split().model_dump(mode="json"),
    }


def evaluation(
    model_type: str = "rf",
    confusion: list[list[int]] | None = None,
    bounds: tuple[float, float] = (0.61, 0.94),
    shared: list[str] | None = None,
) -> EvaluationResult:
    """Of an evaluation, from its confusion of records."""
    table = confusion or CONFUSION
    count = sum(map(sum, table))
    accuracy = sum(row[place] for place, row in enumerate(table)) / count
    per_fault = [
        FaultScore(
            fault=fault, count=sum(row), units=1 if fault == "healthy" else 3,
            recall=Interval(value=row[place] / sum(row), low=max(row[place] / sum(row) - 0.3, 0), high=1.0),
            precision=0.8, f1=0.8,
        )
        for place, (fault, row) in enumerate(zip(FAULTS, table, strict=True))
    ]  # fmt: skip
    scores = Scores(
        unit="record", count=count, accuracy=Interval(value=accuracy, low=bounds[0], high=bounds[1]), macro_f1=Interval(
            value=accuracy, low=bounds[0], high=bounds[1]), per_fault=per_fault, confusion=table,
    )  # fmt: skip
    window = scores.model_copy(update={"unit": "window", "count": 10 * count})
    return EvaluationResult(
        models=["a", "b", "c"], model_type=model_type, faults=FAULTS, folds=3, record=scores, window=window,
        majority_accuracy=0.25, split=split(shared), leaks=["1 of 10 test units were also trained on: healthy."],
        interval_method="95 % bootstrap over units, 2000 resamples",
    )  # fmt: skip

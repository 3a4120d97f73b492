"""Results as pictures: a dataset, a training, and the scores of one or several models on the same split."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.cli.ui.text import duration, percent, plural, safe
from shared.contracts.results import (
    DatasetResult,
    EvaluationResult,
    FaultScore,
    Interval,
    ModelCost,
    SplitReport,
    TrainingResult,
)

_BADGES = {"unseen units": "good", "some shared units": "wait", "same units": "wait"}
_MOST_REJECTS = 5
_MOST_NOTES = 6
_MOST_GROUPS = 3


def facts(*rows: tuple[str, RenderableType]) -> Table:
    """Names and values, one pair a line."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="quiet", no_wrap=True, min_width=10)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def interval(score: Interval) -> Text:
    """`72.2 %  48.1–95.0`."""
    text = Text(f"{100 * score.value:5.1f} %", style="name")
    text.append(f"  {100 * score.low:.1f}–{100 * score.high:.1f}", style="quiet")
    return text


def badge(split: SplitReport) -> Text:
    """Whether the test side holds physical units that training has seen."""
    return Text.assemble((safe(split.badge), _BADGES.get(split.badge, "wait")))


def dataset_picture(result: DatasetResult) -> RenderableType:
    """What a dataset holds."""
    faults = Text(", ").join([Text(f"{safe(fault)} {count}") for fault, count in result.faults.items()])
    parts: list[RenderableType] = [
        facts(
            ("records", f"{result.records:,} of {plural(result.units, 'unit')}, {duration(result.seconds)} in all"),
            ("signal", f"{result.sample_rate_hz:,.0f} Hz, {', '.join(map(safe, result.channels))}"),
            ("faults", faults),
            *((safe(label), ", ".join(map(safe, values))) for label, values in result.labels.items()),
            ("digest", safe(result.digest[:16])),
        )
    ]
    if result.notes:
        hidden = len(result.notes) - _MOST_NOTES
        lines = [Text(f"· {safe(note)}") for note in result.notes[-_MOST_NOTES:]]  # notes on single files come first
        if hidden > 0:
            lines.insert(0, Text(f"· {plural(hidden, 'note')} before these (`--json` lists all)", style="quiet"))
        parts.append(Padding(Group(*lines), (1, 0, 0, 0)))
    if result.rejects:
        lines = [Text(f"{plural(len(result.rejects), 'file was', 'files were')} not imported:", style="wait")]
        lines += [
            Text(f"· {safe(reject.file)}: {safe(reject.reason)} {safe(reject.remedy)}")
            for reject in result.rejects[:_MOST_REJECTS]
        ]
        if len(result.rejects) > _MOST_REJECTS:
            lines.append(Text(f"· and {len(result.rejects) - _MOST_REJECTS} more (`--json` lists all)"))
        parts.append(Padding(Group(*lines), (1, 0, 0, 0)))
    return Group(*parts)


def training_picture(result: TrainingResult) -> RenderableType:
    """What a training came to. Validation selects the model; the score to quote comes from an evaluation."""
    split = result.split
    windows = f"{result.train_windows:,} to train, {result.validation_windows:,} to validate"
    if result.synthetic_windows:
        windows = windows.replace(" to train", f" to train ({result.synthetic_windows:,} synthetic)")
    cost = [("cost", _cost(result.cost))] if result.cost else []
    return facts(
        ("model", f"{safe(result.model)}, {result.parameters:,} parameters"),
        *cost,
        ("dataset", safe(result.dataset)),
        ("faults", ", ".join(map(safe, result.faults))),
        ("epochs", f"{result.epochs}, best {result.best_epoch}"),
        ("windows", windows + (f", {result.window_s:g} s each" if result.window_s else "")),
        ("validation", f"accuracy {percent(result.validation_accuracy)}, macro F1 {result.validation_macro_f1:.3f}"),
        ("split", f"by {safe(split.by)}, held out {held_out(split)}; {plural(split.test_records, 'record')} untouched"),
        ("test side", badge(split)),
    )


def _cost(cost: ModelCost) -> str:
    """`38 kB, 1.9 million operations and 0.43 ms a window`."""
    operations = "" if cost.flops is None else f"{cost.flops / 1e6:,.3g} million operations and "
    return f"{cost.file_bytes / 1000:,.0f} kB, {operations}{cost.latency_ms:,.2g} ms a window"


def held_out(split: SplitReport) -> str:
    """The groups kept from training, in words."""
    shown = ", ".join(safe(group) for group in split.held_out[:_MOST_GROUPS])
    more = len(split.held_out) - _MOST_GROUPS
    return f"{shown} and {more} more" if more > 0 else shown or "nothing"


def scores_picture(
    results: Mapping[str, EvaluationResult], units: str = "units", *, method: bool = True
) -> RenderableType:
    """Models side by side on one split: scores, recall by fault, what leaks; `method` tells what the intervals are."""
    first = next(iter(results.values()))
    leaks = list(dict.fromkeys(leak for result in results.values() for leak in result.leaks)) or ["nothing found"]
    told = [("leaks" if not index else "", safe(leak)) for index, leak in enumerate(leaks)]
    rule = [*_rule(first, units), *([("interval", safe(first.interval_method))] if method else [])]
    return Group(_scores(results, units), Text(), facts(*rule, *told))


def _scores(results: Mapping[str, EvaluationResult], units: str) -> Table:
    first = next(iter(results.values()))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", no_wrap=True, min_width=16)
    for name in results:
        table.add_column(Text(safe(name)), no_wrap=True, min_width=18)
    table.add_column("records", justify="right")
    table.add_column(units, justify="right")
    table.add_row("records right", *(interval(result.record.accuracy) for result in results.values()),
                  str(first.record.count), str(first.split.test_units))  # fmt: skip
    table.add_row("windows right", *(interval(result.window.accuracy) for result in results.values()), "", "")
    if any(result.window_s for result in results.values()):
        told = [f"{result.window_s:g} s" if result.window_s else "" for result in results.values()]
        table.add_row(Text("window", style="quiet"), *(Text(words.rjust(7), style="quiet") for words in told), "", "")
    majority = Text(f"{100 * first.majority_accuracy:5.1f} %", style="quiet")
    table.add_row(Text("majority guess", style="quiet"), majority, *([""] * (len(results) + 1)))
    table.add_section()
    for fault in first.faults:
        scores = [_score(result, fault) for result in results.values()]
        known = next((score for score in scores if score is not None), None)
        cells = [interval(score.recall) if score else Text("–", style="quiet") for score in scores]
        counts = (str(known.count), str(known.units)) if known else ("0", "0")
        table.add_row(f"  {safe(fault)}", *cells, *counts)
    return table


def _score(result: EvaluationResult, fault: str) -> FaultScore | None:
    found = next((score for score in result.record.per_fault if score.fault == fault), None)
    return found if found is not None and found.count else None


def _rule(result: EvaluationResult, units: str) -> list[tuple[str, RenderableType]]:
    split = result.split
    words = f"by {safe(split.by)}, held out {held_out(split)}"
    if result.folds > 1:
        words += f"; {result.folds} folds pooled"
    shared = f"{len(split.shared_units) or 'none'} of {split.test_units} test {units} trained on too"
    mark = badge(split)
    mark.append(f"  {shared}", style="quiet")
    return [("split", words), ("test side", mark)]


def confusion_picture(result: EvaluationResult) -> Table:
    """Counts of records: truth down, prediction across."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("truth \\ said", no_wrap=True)
    for fault in result.faults:
        table.add_column(Text(safe(fault)), justify="right")
    for index, (fault, row) in enumerate(zip(result.faults, result.record.confusion, strict=False)):
        table.add_row(safe(fault), *_counts(row, index))
    return table


def _counts(row: Sequence[int], right: int) -> list[Text]:
    return [
        Text(str(count), style="quiet" if not count else "good" if column == right else "bad")
        for column, count in enumerate(row)
    ]

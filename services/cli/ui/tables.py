"""Lists and single things as tables."""

from collections.abc import Sequence

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from services.cli.ui.campaigns import result_of as campaign_result
from services.cli.ui.listing import Listing
from services.cli.ui.result import confusion_picture, dataset_picture, facts, scores_picture, training_picture
from services.cli.ui.text import ago, ahead, duration, percent, plural, safe, short_id, state_text
from shared.contracts.campaigns import CAMPAIGN, CampaignResult
from shared.contracts.results import DatasetResult, EvaluationResult, TrainingResult
from shared.contracts.views import ChildCounts, DatasetView, ModelView, RunView, WorkerView


def runs_table(runs: Sequence[RunView]) -> RenderableType:
    """Runs, newest first."""
    columns = ("run", "kind", "name", "state", "done", "stage", "took", "asked")
    table = Listing(*columns, right=("done", "took"), least=("asked", "took", "stage", "done", "kind"))
    for run in runs:
        table.add_row(
            Text(short_id(run.id), style="key"),
            safe(run.kind),
            safe(run.spec.get("name", "")),
            state_text(run.state),
            f"{100 * run.progress.fraction:.0f} %",
            Text(safe(run.progress.stage or run.wait_reason or ""), style="quiet"),
            _took(run),
            Text(ago(run.created_at), style="quiet"),
        )
    return table if runs else Text("There are no such runs yet.", style="quiet")


def run_picture(run: RunView) -> RenderableType:
    """One run with its result or its error."""
    rows: list[tuple[str, RenderableType]] = [
        ("run", Text(str(run.id), style="key")),
        ("kind", safe(run.kind)),
        ("state", state_text(run.state)),
        ("progress", f"{percent(run.progress.fraction)} {safe(run.progress.stage or '')}"),
        ("pool", f"{safe(run.pool)}, priority {run.priority}"),
        ("worker", safe(run.worker or "–")),
        ("attempt", str(run.attempt)),
        ("asked", ago(run.created_at)),
        ("took", _took(run) or "–"),
    ]
    if run.wait_reason:
        rows.append(("waits for", safe(run.wait_reason)))
    if run.not_before and run.started_at is None:
        rows.append(("not before", ahead(run.not_before)))
    if run.children:
        rows.append(("children", _children(run.children)))
    if run.parent_id:
        rows.append(("parent", short_id(run.parent_id)))
    if run.labels:
        rows.append(("labels", ", ".join(f"{safe(name)}={safe(value)}" for name, value in run.labels.items())))
    if run.retry_of:
        rows.append(("retry of", str(run.retry_of)))
    parts: list[RenderableType] = [facts(*rows)]
    if run.envelope and run.envelope.error:
        error = run.envelope.error
        words = facts(
            ("why", safe(error.message, lines=True)),
            *((("cause", safe(run.cause)),) if run.cause else ()),
            ("do", safe(error.remedy)),
            ("id", safe(error.error_id)),
        )
        parts.append(Padding(words, (1, 0, 0, 0)))
    elif run.envelope and run.envelope.result:
        parts.append(Padding(result_picture(run.kind, run.envelope.result), (1, 0, 0, 0)))
    return Group(*parts)


def result_picture(kind: str, result: dict[str, object]) -> RenderableType:
    """The result of a run by its kind; one that this release does not know is shown as it is."""
    try:
        if kind.startswith("dataset."):
            return dataset_picture(DatasetResult.model_validate(result))
        if kind == "model.train":
            return training_picture(TrainingResult.model_validate(result))
        if kind == "model.evaluate":
            scores = EvaluationResult.model_validate(result)
            return Group(scores_picture({scores.model_type: scores}), Text(), confusion_picture(scores))
        if kind == CAMPAIGN:
            return campaign_result(CampaignResult.model_validate(result))
    except ValidationError:
        pass
    return facts(*((safe(name), safe(value)) for name, value in result.items()))


def datasets_table(datasets: Sequence[DatasetView]) -> RenderableType:
    """Datasets, newest first."""
    columns = ("name", "state", "records", "units", "faults", "made")
    table = Listing(*columns, right=("records", "units"), least=("made", "units", "faults", "records"))
    for dataset in datasets:
        result = dataset.result or {}
        faults = result.get("faults")
        table.add_row(
            Text(safe(dataset.name), style="name"),
            state_text(dataset.state),
            safe(result.get("records", "")),
            safe(result.get("units", "")),
            safe(", ".join(map(str, faults))) if isinstance(faults, dict) else "",
            Text(ago(dataset.created_at), style="quiet"),
        )
    return table if datasets else Text("There are no datasets yet: `faultline datasets import` or `generate`.")


def dataset_view(dataset: DatasetView) -> RenderableType:
    """One dataset."""
    head = facts(
        ("dataset", Text(safe(dataset.name), style="name")),
        ("id", str(dataset.id)),
        ("state", state_text(dataset.state)),
        ("run", str(dataset.run_id)),
        ("made", ago(dataset.created_at)),
    )
    body = [result_picture("dataset.", dataset.result)] if dataset.result else []
    return Group(head, *body)


def models_table(models: Sequence[ModelView]) -> RenderableType:
    """Models, newest first."""
    columns = ("name", "state", "type", "dataset", "validation", "held out", "made")
    table = Listing(*columns, right=("validation",), least=("made", "type", "held out", "dataset", "validation"))
    for model in models:
        result = model.result or {}
        accuracy, split = result.get("validation_accuracy"), result.get("split")
        rule = f"{split.get('by')} {', '.join(map(str, split.get('held_out', [])))}" if isinstance(split, dict) else ""
        table.add_row(
            Text(safe(model.name), style="name"),
            state_text(model.state),
            safe(result.get("model", "")),
            safe(result.get("dataset", "")),
            percent(accuracy) if isinstance(accuracy, float) else "",
            safe(rule if len(rule) <= 40 else f"{rule[:39]}…"),
            Text(ago(model.created_at), style="quiet"),
        )
    return table if models else Text("There are no models yet: `faultline train`.", style="quiet")


def model_view(model: ModelView) -> RenderableType:
    """One model."""
    head = facts(
        ("name", Text(safe(model.name), style="name")),
        ("id", str(model.id)),
        ("state", state_text(model.state)),
        ("run", str(model.run_id)),
        ("made", ago(model.created_at)),
    )
    body = [result_picture("model.train", model.result)] if model.result else []
    return Group(head, *body)


def workers_table(workers: Sequence[WorkerView]) -> RenderableType:
    """Workers and their load."""
    columns = ("worker", "state", "pools", "busy", "heartbeat", "version")
    table = Listing(*columns, right=("busy",), least=("version", "heartbeat", "pools"))
    for worker in workers:
        state = Text("draining", "wait") if worker.draining else Text("alive", "good")
        table.add_row(
            Text(safe(worker.name), style="name"),
            state if worker.alive else Text("gone", "bad"),
            safe(", ".join(worker.pools)),
            f"{worker.busy}/{worker.slots}",
            Text(ago(worker.heartbeat_at), style="quiet"),
            safe(worker.version),
        )
    return table if workers else Text("No worker has registered: `faultline up` starts them.", style="wait")


def submitted(run: RunView, name: str) -> Text:
    """What to do after asking for a run."""
    line = Text("Asked for ")
    line.append(safe(run.kind), style="name").append(f" {safe(name)}".rstrip()).append(", run ")
    line.append(short_id(run.id), style="key")
    return line.append(f". `faultline runs watch {short_id(run.id)}` shows it.")


def _children(counts: ChildCounts) -> str:
    """`12: 3 waiting, 1 running, 8 succeeded`."""
    parts = [f"{count:,} {name}" for name, count in counts.model_dump(exclude={"total"}).items() if count]
    return f"{counts.total:,}: {', '.join(parts)}"


def _took(run: RunView) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    return duration((run.finished_at - run.started_at).total_seconds())


def skipped(names: Sequence[str], why: str) -> Text:
    """Files that are left out."""
    shown = ", ".join(safe(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return Text(f"{plural(len(names), 'file')} left out ({why}): {shown}{more}", style="wait")

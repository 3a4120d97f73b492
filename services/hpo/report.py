"""The body of `campaign.report`: a page, pictures and tables of what was pinned when the report was asked for."""

import csv
import io
from collections.abc import Callable
from typing import Any

import orjson
from matplotlib.figure import Figure

from services.hpo import drawing
from services.hpo.drawing_points import draw_contour, draw_history, draw_pareto, draw_slices
from services.hpo.drawing_wide import draw_importance, draw_parallel, draw_rungs, draw_timeline
from services.hpo.report_page import page
from shared.campaigns.cells import cell
from shared.contracts.campaign_report import ReportData, ReportedTrial, ReportResult, ReportSpec
from shared.contracts.campaign_views import ViewName
from shared.contracts.written import to_yaml
from shared.runs.body import Reporter, RunArtifacts, RunStopped

_DRAW: dict[str, Callable[[Any], Figure]] = {
    ViewName.HISTORY: draw_history,
    ViewName.PARALLEL: draw_parallel,
    ViewName.IMPORTANCE: draw_importance,
    ViewName.SLICE: draw_slices,
    ViewName.CONTOUR: draw_contour,
    ViewName.PARETO: draw_pareto,
    ViewName.RUNGS: draw_rungs,
    ViewName.TIMELINE: draw_timeline,
}


def write_report(spec: ReportSpec, reporter: Reporter, artifacts: RunArtifacts) -> ReportResult:
    """Write `report.html`, each view as .svg, .png and .json, `trials.csv`, and `best.yaml` where there is a best."""
    data = ReportData.model_validate(artifacts.input(spec.campaign_id).result)
    views: dict[str, Any] = {str(view.view): view for view in data.views}
    views[ViewName.SLICE] = data.slices
    files: list[str] = []

    def put(name: str, content: bytes, content_type: str) -> None:
        artifacts.put(name, content, content_type)
        files.append(name)

    pictures: dict[str, bytes] = {}
    for place, (name, draw) in enumerate((name, draw) for name, draw in _DRAW.items() if name in views):
        if reporter.should_stop():
            raise RunStopped
        reporter.progress(place / (len(views) + 1), stage="drawing", current=place, total=len(views))
        with drawing.styled():
            drawn = draw(views[name])
            pictures[name] = drawing.svg(drawn, name)
            put(f"{name}.svg", pictures[name], "image/svg+xml")
            put(f"{name}.png", drawing.png(drawn), "image/png")
        put(f"{name}.json", _json(views[name]), "application/json")
    if data.best is not None and data.best_spec:
        put("best.yaml", best_yaml(data).encode(), "application/yaml")
    put("trials.csv", table(data).encode(), "text/csv; charset=utf-8")
    put("report.html", page(data, pictures).encode(), "text/html; charset=utf-8")
    return ReportResult(
        campaign=data.name,
        state=data.state,
        trials=data.trials_total,
        best=data.best.values if data.best else None,
        files=files,
        trials_left_out=data.trials_total - len(data.trials),
    )


def _json(view: Any) -> bytes:
    plain = [each.model_dump(mode="json") for each in view] if isinstance(view, list) else view.model_dump(mode="json")
    return orjson.dumps(plain, option=orjson.OPT_INDENT_2)


def best_yaml(data: ReportData) -> str:
    """The best trial as a request: `faultline runs submit best.yaml` and `POST /v1/runs` take it as it is."""
    assert data.best is not None
    scores = (f"{aim.result}: {value:.6g}" for aim, value in zip(data.aims, data.best.values, strict=True))
    return to_yaml(
        {"kind": data.kind, "spec": data.best_spec, "pool": data.pool, "labels": data.labels},
        f"Trial {data.best.number} of the campaign {data.name}, the best of {data.trials_total}.",
        *scores,
        "Run it again: faultline runs submit best.yaml",
    )


def table(data: ReportData) -> str:
    """The trials as CSV. No cell is a formula to a spreadsheet."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    head = ["number", "state", "origin", *(aim.result for aim in data.aims), "allowed", *data.parameters]
    writer.writerow(map(cell, [*head, "run_id", "started_at", "finished_at", "error"]))
    for trial in data.trials:
        writer.writerow(map(cell, _row(data, trial)))
    return target.getvalue()


def _row(data: ReportData, trial: ReportedTrial) -> list[Any]:
    values: list[float | None] = [*(trial.values or [])]
    ends = [at.isoformat() if at else None for at in (trial.started_at, trial.finished_at)]
    params = [trial.params.get(name) for name in data.parameters]
    padded = [*values, *[None] * (len(data.aims) - len(values))]
    return [trial.number, trial.state, trial.origin, *padded, trial.allowed, *params, trial.run_id, *ends, trial.error]

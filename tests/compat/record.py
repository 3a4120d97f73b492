"""What a release stores and says, as JSON: `python -m tests.compat.record` writes it for this one.

The file of a tagged release is never written again: later releases must go on reading it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from shared.artifacts import Stored
from shared.contracts.campaign_report import ReportSpec
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.kinds import KINDS
from shared.contracts.specs import (
    Cnn1dRecipe,
    ConvNetRecipe,
    EvaluationSpec,
    GenerateSpec,
    ImportSpec,
    RandomForestRecipe,
    Spec,
    SyntheticSpec,
    TrainingSpec,
)
from shared.contracts.views import EventView, MetricPoint, Progress
from shared.queue import wire
from shared.queue.outcome import Away, Failed, Outcome, Stopped, Succeeded
from shared.runs.body import Put
from shared.runs.reporter import News
from shared.version import VERSION

FOLDER = Path(__file__).with_name("recorded")
_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
_ERROR = ErrorInfo(type="UserError", message="m", remedy="r", error_id="e")

SPECS: dict[str, list[Spec]] = {
    "dataset.import": [
        ImportSpec(name="d", uploads=[_ID], label_rule="(?P<fault>[a-z]+)", sample_rate_candidates_hz=[12_000, 48_000])
    ],
    "dataset.generate": [GenerateSpec(name="d"), GenerateSpec(name="d", family="journal", faults=["wear"])],
    "model.train": [
        TrainingSpec(name="m", dataset_id=_ID, recipe=RandomForestRecipe()),
        TrainingSpec(name="m", dataset_id=_ID, recipe=Cnn1dRecipe(epochs=2), window_s=0.5),
        TrainingSpec(name="m", dataset_id=_ID, recipe=ConvNetRecipe(epochs=2), synthetic=SyntheticSpec(mode="only")),
    ],
    "model.evaluate": [EvaluationSpec(model_ids=[_ID])],
    "campaign.report": [ReportSpec(campaign_id=_ID)],
}


def record() -> dict[str, Any]:
    """Everything that crosses a release: specs, envelopes, events, and what supervisor and trainer say."""
    common = {"run_id": _ID, "attempt": 1, "task_id": f"{_ID}:1", "kind": "model.train", "duration_seconds": 1.5}
    news = News(
        Progress(fraction=0.5, stage="train", current=1, total=2, eta_seconds=3.0),
        [MetricPoint(name="loss", step=1, value=0.25, attempt=1)],
        [Put("model.bin", "artifact", Stored("k", 1, "d"), "application/octet-stream")],
    )
    outcomes: list[Outcome] = [Succeeded({"a": 1}), Failed(_ERROR), Stopped("cancel"), Away("cause", 1.0)]
    lines = [wire.pack_news(news), *(wire.pack_outcome(outcome) for outcome in outcomes)]
    at = datetime(2026, 1, 2, tzinfo=UTC)
    event = EventView(run_id=_ID, seq=1, attempt=1, type="state", at=at, data={"state": "queued"})
    return {
        "specs": [
            {"kind": kind, "version": spec.spec_version, "spec": spec.model_dump(mode="json")}
            for kind, specs in SPECS.items()
            for spec in specs
        ],
        "envelopes": [
            Envelope(success=True, result={"a": 1}, **common).model_dump(mode="json"),
            Envelope(success=False, error=_ERROR, **common).model_dump(mode="json"),
        ],
        "events": [event.model_dump(mode="json")],
        "wire": [orjson.loads(line) for line in lines],
    }


def path_of(version: str) -> Path:
    """Where the record of a release is."""
    return FOLDER / f"{version}.json"


if __name__ == "__main__":
    assert set(SPECS) <= set(KINDS)
    path_of(VERSION).write_bytes(orjson.dumps(record(), option=orjson.OPT_INDENT_2) + b"\n")

"""`demo.json`: all that a demo did, so that it can be told and done again."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.cli.commands.version import versions
from shared.contracts.results import EvaluationResult
from shared.contracts.views import RunView


@dataclass
class Record:
    """Filled in while the demo goes on."""

    seed: int
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    stage_seconds: dict[str, float] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    dataset: dict[str, Any] = field(default_factory=dict)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    reading: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.stage_seconds[name] = round(time.monotonic() - begun, 2)

    def ran(self, run: RunView) -> None:
        """Keep a run."""
        seconds = run.envelope.duration_seconds if run.envelope else None
        self.runs.append(
            {
                "id": str(run.id),
                "kind": run.kind,
                "name": run.spec.get("name"),
                "state": run.state.value,
                "seconds": seconds,
                "stage_seconds": run.envelope.stage_seconds if run.envelope else {},
            }
        )

    def evaluated(self, experiment: str, run: RunView, result: EvaluationResult) -> None:
        """Keep an evaluation in full."""
        entry = {"experiment": experiment, "run_id": str(run.id), "result": result.model_dump(mode="json")}
        self.evaluations.append(entry)

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return (datetime.now(UTC) - self.started_at).total_seconds()

    def document(self) -> dict[str, Any]:
        """The whole of it."""
        return {
            "command": ["faultline", *sys.argv[1:]],
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 2),
            "stage_seconds": self.stage_seconds,
            "seed": self.seed,
            "versions": versions(),
            "cores": os.cpu_count(),
            "dataset": self.dataset,
            "runs": self.runs,
            "evaluations": self.evaluations,
            "reading": self.reading,
        }

    def write(self, path: Path) -> Path:
        """Replace the file as a whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(json.dumps(self.document(), indent=1) + "\n", "utf-8")
        fresh.replace(path)
        return path

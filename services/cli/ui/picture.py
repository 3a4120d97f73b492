"""What is known of a run while it is watched, built from its events.

Written by whoever follows the stream, read by the views.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.contracts.states import TERMINAL, RunState
from shared.contracts.views import EventView, MetricPoint, Progress, RunView

#: shown first where they exist; other metrics follow in the order in which they appear
FIRST_CURVES = ("train_loss", "validation_accuracy")


@dataclass
class Picture:
    """One run as it is seen."""

    run_id: UUID
    kind: str
    name: str
    state: RunState
    attempt: int = 1
    progress: Progress = field(default_factory=Progress)
    reason: str | None = None  #: why it is where it is
    notice: str | None = None
    error: str | None = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, run: RunView) -> "Picture":
        """The picture of a run before its first event."""
        picture = cls(run.id, run.kind, str(run.spec.get("name") or run.kind), run.state, run.attempt, run.progress)
        picture.reason = run.wait_reason
        picture.started_at, picture.ended_at = run.started_at, run.finished_at
        return picture

    @property
    def over(self) -> bool:
        """Whether the run is terminal."""
        return self.state in TERMINAL

    @property
    def seconds(self) -> float | None:
        """Since the run started, or how long it took."""
        if self.started_at is None:
            return None
        until = self.ended_at or datetime.fromtimestamp(self.clock(), UTC)
        return max((until - self.started_at).total_seconds(), 0.0)

    def apply(self, event: EventView) -> None:
        """Take one event in."""
        if event.attempt > self.attempt:
            self.progress = Progress()
        self.attempt = event.attempt
        if event.type == "state":
            self._state(event)
        elif event.type == "metrics":
            step = int(event.data.get("up_to_step", 0))
            for name, value in _numbers(event.data.get("latest")):
                self._point(name, step, value)
        elif event.type in {"progress", "stage"}:
            self._progress(event.data)
        elif event.type == "notice":
            self.notice = str(event.data.get("message", ""))

    def history(self, points: list[MetricPoint]) -> None:
        """Take the whole of the metrics in: events carry the newest value only."""
        whole = Picture(self.run_id, self.kind, self.name, self.state)
        for point in points:
            whole._point(point.name, point.step, point.value)
        self.curves = whole.curves

    def _state(self, event: EventView) -> None:
        known = set(RunState)
        state = event.data.get("state")
        if state in known:
            self.state = RunState(state)
        self.reason = event.data.get("reason")
        if self.state is RunState.RUNNING:
            self.started_at, self.ended_at = event.at, None
        elif self.over:
            self.ended_at = event.at
        if self.state is RunState.SUCCEEDED:
            self.progress = self.progress.model_copy(update={"fraction": 1.0, "eta_seconds": None})

    def _progress(self, data: dict[str, Any]) -> None:
        """Within a stage, a count stays until a newer one comes: bodies count epochs and tell shares of them."""
        before = self.progress.model_dump()
        told = Progress.model_validate({**before, **data}).model_dump()
        if told["stage"] == before["stage"]:
            told |= {name: before[name] for name in ("current", "total") if told[name] is None}
        self.progress = Progress.model_validate(told)

    def _point(self, name: str, step: int, value: float | None) -> None:
        """Add a point. Whoever draws at the same time sees the curve before or after it, never in between."""
        if value is None or not math.isfinite(value):
            return
        curve = self.curves.get(name)
        if curve and curve[-1][0] < step:
            curve.append((step, value))
        else:  # the first point, or a later attempt that goes on from its checkpoint
            self.curves[name] = [point for point in curve or () if point[0] < step] + [(step, value)]

    def shown_curves(self, most: int) -> list[str]:
        """Names of the metrics to draw."""
        names = list(self.curves)
        return sorted(names, key=lambda name: FIRST_CURVES.index(name) if name in FIRST_CURVES else len(names))[:most]


def _numbers(latest: Any) -> list[tuple[str, float]]:
    """Metrics of an event; what is no number is left out."""
    if not isinstance(latest, dict):
        return []
    return [(str(name), float(value)) for name, value in latest.items() if isinstance(value, int | float)]

"""Collects what a body tells and hands it on in batches: calls cost nothing, the newest progress wins, every metric
point and file is kept. The same class stands in the trainer process and in its supervisor, joined by a pipe.
"""

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from shared.contracts.views import MetricPoint, Progress
from shared.runs.body import Put

#: Different names of one run: what a page of metrics must hold of one step.
MAX_METRIC_NAMES = 100
StopReason = Literal["cancel", "pause", "preempt", "time_limit", "lost"]


@dataclass
class News:
    """What was told and is not written yet."""

    progress: Progress | None = None
    points: list[MetricPoint] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.progress is not None or bool(self.points) or bool(self.puts)

    def followed_by(self, later: "News") -> "News":
        """Both, in order."""
        return News(later.progress or self.progress, self.points + later.points, self.puts + later.puts)


class RunReporter:
    """Implements `Reporter`; safe to tell from one thread and to drain from another."""

    def __init__(self, attempt: int) -> None:
        self._attempt = attempt
        self._began_s = time.monotonic()
        self._fraction = 0.0
        self._progress: tuple[float, str | None, int | None, int | None] | None = None
        self._points: list[MetricPoint] = []
        self._puts: list[Put] = []
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._stop: StopReason | None = None
        self._stage: str | None = None
        self._stage_began_s = self._began_s
        self._stage_seconds: dict[str, float] = {}

    def progress(
        self, fraction: float, *, stage: str | None = None, current: int | None = None, total: int | None = None
    ) -> None:
        """See `Reporter`. Raises `ValueError` for a fraction that is not in [0, 1]."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"progress must be in [0, 1], not {fraction}")
        if fraction > self._fraction:
            self._fraction = fraction
        if stage is not None and stage != self._stage:
            self._enter(stage)
        with self._lock:
            self._progress = (self._fraction, self._stage, current, total)

    def metrics(self, step: int, **values: float) -> None:
        """See `Reporter`. Raises `ValueError` for more than `MAX_METRIC_NAMES` different names."""
        self._names |= values.keys()
        if len(self._names) > MAX_METRIC_NAMES:
            raise ValueError(f"a run may have {MAX_METRIC_NAMES} metrics, not {len(self._names)}")
        points = [
            MetricPoint(name=name, step=step, value=value if math.isfinite(value) else None, attempt=self._attempt)
            for name, value in values.items()
        ]
        with self._lock:
            self._points += points

    def should_stop(self) -> bool:
        """See `Reporter`."""
        return self._stop is not None

    def record(self, put: Put) -> None:
        """A file is in the store and waits to be made to exist."""
        with self._lock:
            self._puts.append(put)

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the body is asked to stop, if it is."""
        return self._stop

    def request_stop(self, reason: StopReason) -> None:
        """Ask the body to stop. A lost claim outweighs every reason and a cancel a pause, else the first one stays."""
        if self._stop is None or reason == "lost" or (reason, self._stop) == ("cancel", "pause"):
            self._stop = reason

    def feed(self, news: News) -> None:
        """Take over what the reporter in another process was told."""
        with self._lock:
            self._points += news.points
            self._puts += news.puts
        if news.progress is not None:
            seen = news.progress
            self.progress(seen.fraction, stage=seen.stage, current=seen.current, total=seen.total)

    def take(self) -> News:
        """Everything since the last call."""
        with self._lock:
            told, self._progress = self._progress, None
            points, self._points = self._points, []
            puts, self._puts = self._puts, []
        return News(self._as_progress(told) if told else None, points, puts)

    def stage_seconds(self) -> dict[str, float]:
        """Time spent in each stage so far."""
        seconds = dict(self._stage_seconds)
        if self._stage is not None:
            now_s = time.monotonic()
            seconds[self._stage] = seconds.get(self._stage, 0.0) + now_s - self._stage_began_s
        return {stage: round(value, 3) for stage, value in seconds.items()}

    def _enter(self, stage: str) -> None:
        now_s = time.monotonic()
        if self._stage is not None:
            self._stage_seconds[self._stage] = self._stage_seconds.get(self._stage, 0.0) + now_s - self._stage_began_s
        self._stage, self._stage_began_s = stage, now_s

    def _as_progress(self, told: tuple[float, str | None, int | None, int | None]) -> Progress:
        fraction, stage, current, total = told
        elapsed_s = time.monotonic() - self._began_s
        eta_s = round(elapsed_s * (1 - fraction) / fraction, 1) if fraction > 0.01 else None
        return Progress(fraction=fraction, stage=stage, current=current, total=total, eta_seconds=eta_s)

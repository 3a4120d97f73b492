"""Shows a run's progress in Celery's own view, for the tools that look there. Best effort: throttled, in a thread of
its own, and its failure is logged and counted but never felt by the run. Nothing in the platform reads it.
"""

import threading
import time
from typing import Any

import structlog
from celery import Task
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.contracts.views import Progress
from shared.observability import metrics
from shared.runs.reporter import News
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_JOIN_S = 6.0  #: a little more than the backend's own time-out


class Mirror:
    """Context manager around one task. Does nothing where there is no result backend."""

    def __init__(self, task: Task[Any, Any], task_id: str, settings: Settings) -> None:
        self._task = task
        self._task_id = task_id
        self._interval_s = settings.mirror_interval_s
        self._newest: Progress | None = None
        self._wake = threading.Event()
        self._over = threading.Event()
        self._on = settings.result_backend is not None and not settings.always_eager
        self._thread: threading.Thread | None = None  #: from the first progress on

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, *_exc: object) -> None:
        """Wait for a write under way, so that it cannot come after the result."""
        self._over.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def show(self, news: News) -> None:
        """Keep the newest progress for the next look."""
        if news.progress is not None and self._on:
            self._newest = news.progress
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
                self._thread.start()
            self._wake.set()

    def _run(self) -> None:
        shown_s = 0.0
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._over.wait(max(0.0, shown_s + self._interval_s - time.monotonic())):
                return
            progress, self._newest = self._newest, None
            if progress is None:
                continue
            shown_s = time.monotonic()
            try:
                self._task.update_state(task_id=self._task_id, state="PROGRESS", meta=progress.model_dump())
            except (RedisError, OperationalError, OSError) as error:
                metrics.MIRROR_FAILURES.inc()
                _log.warning("the result backend does not take progress", task_id=self._task_id, error=str(error))

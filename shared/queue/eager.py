"""Eager mode: the request that submits a run also runs it, in this process, after its commit. Steps likewise."""

import threading
from typing import Any

from shared.queue.app import Holder, make_app
from shared.queue.registry import FOLLOWERS
from shared.queue.runtime import make_runtime
from shared.runs.dispatch import take_all
from shared.runs.outbox import relay_once
from shared.settings import Settings


class Eager:
    """Plays dispatcher, broker and worker. Failures are in the rows and in the log."""

    def __init__(self, settings: Settings) -> None:
        self._one_at_a_time = threading.Lock()
        holder = Holder()
        self._app = make_app(settings, settings.eager_task_modules, holder)
        self._runtime = holder.runtime = make_runtime(settings, "eager", lifeline=None)
        self._followers = [make(self._runtime.engine, settings) for make in FOLLOWERS]

    def run_everything(self) -> None:
        """Run what is queued, and what that leads to, until nothing is left."""
        with self._one_at_a_time:
            self._run_queued()
            for follow in self._followers:
                follow()
            self._run_queued()

    def _run_queued(self) -> None:
        """Depth first: what a run leads to comes before the run that was queued behind it."""
        while True:
            taken = take_all(self._runtime.engine)
            for kind, run_id, attempt in taken:
                self._app.tasks[kind].apply(args=(str(run_id), attempt), task_id=f"{run_id}:{attempt}")
                if relay_once(self._runtime.engine, self._apply_step):
                    self._run_queued()
            if not relay_once(self._runtime.engine, self._apply_step) and not taken:
                return

    def close(self) -> None:
        """Free what the runs left ready."""
        self._runtime.close()

    def _apply_step(self, name: str, task_id: str, args: dict[str, Any], _traceparent: str | None) -> None:
        self._app.tasks[name].apply(args=(args,), task_id=task_id)

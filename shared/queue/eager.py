"""Eager mode: the request that submits a run also runs it, in this process, after its commit. Steps likewise."""

from collections.abc import Callable
from typing import Any

from shared.queue.app import Holder, make_app
from shared.queue.runtime import make_runtime
from shared.runs.dispatch import take_all
from shared.runs.outbox import relay_once
from shared.settings import Settings


def make_eager(settings: Settings) -> Callable[[], None]:
    """A function that runs what is queued, and what that leads to, until nothing is left.

    Failures are in the rows and in the log.
    """
    holder = Holder()
    app = make_app(settings, settings.eager_task_modules, holder)
    holder.runtime = make_runtime(settings, "eager", lifeline=None)
    engine = holder.runtime.engine

    def apply_step(name: str, task_id: str, args: dict[str, Any], _traceparent: str | None) -> None:
        app.tasks[name].apply(args=(args,), task_id=task_id)

    def run_everything() -> None:
        while True:
            taken = take_all(engine)
            for kind, run_id, attempt in taken:
                app.tasks[kind].apply(args=(str(run_id), attempt), task_id=f"{run_id}:{attempt}")
            if not relay_once(engine, apply_step) and not taken:
                return

    return run_everything

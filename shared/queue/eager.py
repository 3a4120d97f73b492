"""Eager mode: the request that submits a run also runs it, in this process, after its commit. Steps likewise."""

from typing import Any

from celery import Celery
from sqlalchemy import Engine

from shared.observability.logs import bound_ids
from shared.runs.dispatch import take_all
from shared.runs.outbox import relay_once


def run_everything(app: Celery, engine: Engine) -> None:
    """Run what is queued, and what that leads to, until nothing is left. Failures are in the rows and the log."""

    def apply_step(name: str, task_id: str, args: dict[str, Any], _traceparent: str | None) -> None:
        app.tasks[name].apply(args=(args,), task_id=task_id)

    while True:
        taken = take_all(engine)
        for kind, run_id, attempt in taken:
            with bound_ids(run_id=str(run_id)):
                app.tasks[kind].apply(args=(str(run_id), attempt), task_id=f"{run_id}:{attempt}")
        sent = relay_once(engine, apply_step)
        if not taken and not sent:
            return

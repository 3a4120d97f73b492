"""Steps: short, idempotent internal work. They have no run row; what they do may be done ten times."""

import time
from typing import Any
from uuid import UUID

import structlog
from celery import Task
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts.base import storable
from shared.db.session import transaction
from shared.errors import Retryable
from shared.observability import metrics
from shared.observability.logs import bound_ids
from shared.queue.registry import STEP_BODIES, step_task
from shared.queue.runtime import Runtime
from shared.runs import batch as _batch  # noqa: F401 - the kind of parent that every worker moves on
from shared.runs import outbox, parents

_log = structlog.get_logger(__name__)


#: What Celery tries again by itself, a few times; anything else is a defect, which patience does not mend at once.
RETRIED = (Retryable, SQLAlchemyError, OSError)
_DATABASE_AWAY_S = 60.0


def run_step(runtime: Runtime, name: str, args: dict[str, Any], task: "Task[Any, Any]") -> None:
    """Run one step; a failure is logged and raised, so that Celery sees it. The last one gives the step back to the
    outbox, which sends it again, less and less often, for some days.
    """
    began_s = time.monotonic()
    with bound_ids(run_id=args.get("run_id"), task_id=task.request.id):
        try:
            STEP_BODIES[name](args, runtime)
        except Exception as error:
            last = not isinstance(error, RETRIED) or task.request.retries >= runtime.settings.step_max_retries
            if last and not task.request.is_eager:
                _give_back(runtime, name, error, task)
            raise
        _log.info("step done", step=name, seconds=round(time.monotonic() - began_s, 3))


def _give_back(runtime: Runtime, name: str, error: Exception, task: "Task[Any, Any]") -> None:
    """Its outbox row is in the task's id. While the database is away the message stays alive instead."""
    row_id = str(task.request.id).removeprefix("outbox:")
    words = storable(f"{type(error).__name__}: {error}")
    try:
        with transaction(runtime.engine) as session:
            again = outbox.give_back(session, int(row_id), words, runtime.settings.step_retry_days * 86_400)
    except SQLAlchemyError as away:
        raise task.retry(exc=away, countdown=_DATABASE_AWAY_S, max_retries=None) from away
    metrics.STEPS_FAILED.labels(name, "again" if again else "given up").inc()
    _log.error("step failed", step=name, outcome="sent again later" if again else "given up", error=words)


_ENDED = text("SELECT project_id, attempt, state FROM runs WHERE id = :id AND finished_at IS NOT NULL")
_SPENT = text(
    "DELETE FROM artifacts WHERE run_id = :id AND role <> 'log' "
    "AND (role = 'checkpoint' OR attempt < :attempt OR :state <> 'succeeded') RETURNING key"
)
_KEPT = text("SELECT key FROM artifacts WHERE run_id = :id")
_OLD_PROGRESS = text(
    "DELETE FROM run_events e WHERE run_id = :id AND type = 'progress' "
    "AND seq < (SELECT max(seq) FROM run_events WHERE run_id = :id AND type = 'progress')"
)


@step_task("run.cleanup")
def clean_up(args: dict[str, Any], runtime: Runtime) -> None:
    """After the end of a run: its checkpoints and the files of lost attempts go."""
    run_id = UUID(args["run_id"])
    with transaction(runtime.engine) as session:
        run = session.execute(_ENDED, {"id": run_id}).one_or_none()
        if run is None:
            return
        session.execute(_SPENT, {"id": run_id, "attempt": run.attempt, "state": run.state})
        kept = set(session.execute(_KEPT, {"id": run_id}).scalars())
    stored = runtime.store.keys(f"projects/{run.project_id}/runs/{run_id}")
    gone = [key for key in stored if key not in kept]
    runtime.store.delete(gone)
    _log.info("cleaned up", files_removed=len(gone), files_kept=len(kept))


@step_task(parents.STEP)
def advance_parent(args: dict[str, Any], runtime: Runtime) -> None:
    """A child of a parent has ended: the parent decides, ends or waits on."""
    with transaction(runtime.engine) as session:
        parents.advance(session, UUID(args["run_id"]))


@step_task("run.forget_progress")
def forget_progress(args: dict[str, Any], runtime: Runtime) -> None:
    """Some time after the end of a run: of its progress events only the last one stays."""
    with transaction(runtime.engine) as session:
        session.execute(_OLD_PROGRESS, {"id": UUID(args["run_id"])})

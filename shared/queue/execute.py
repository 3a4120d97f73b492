"""The life of one attempt: claim, run, finish. Celery only rings; everything that counts is in the row."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text

from shared.artifacts import Stored
from shared.contracts.base import storable
from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope
from shared.contracts.kinds import KINDS
from shared.db.session import AWAY, autocommit, transaction
from shared.errors import Retryable
from shared.observability import metrics
from shared.observability.logs import bound_ids
from shared.observability.tracing import span
from shared.queue.inline import run_inline
from shared.queue.outcome import Away, Claimed, Crashed, Outcome, RunFailed, Stopped, checked, settle
from shared.queue.registry import RUN_BODIES, resolve
from shared.queue.runtime import Runtime
from shared.queue.supervised import supervise
from shared.queue.workdir import name_workdir
from shared.runs import sync
from shared.runs.keeper import Keeper, Limits
from shared.runs.reporter import News, RunReporter, StopReason
from shared.runs.runlog import RunLog

_log = structlog.get_logger(__name__)
_RETRY_S = 1.0
_CHECKPOINT = text(
    "SELECT key, size_bytes, sha256 FROM artifacts WHERE run_id = :id AND role = 'checkpoint' AND attempt < :attempt "
    "ORDER BY attempt DESC, step DESC LIMIT 1"
)


class NotOurs(Exception):
    """The message is a repeat, or its run has moved on: acknowledge it and do nothing."""


def execute(
    runtime: Runtime, kind: str, run_id: UUID, attempt: int, mirror: Callable[[News], None]
) -> dict[str, Any] | None:
    """Run one attempt to its end. Returns the envelope; None if the run goes on elsewhere.

    Raises `NotOurs` for a message that is not to be followed and `RunFailed` after a failure is written down.
    """
    ids = {"run_id": str(run_id), "attempt": attempt, "task_id": f"{run_id}:{attempt}"}
    with bound_ids(**ids):
        claimed = _claim(runtime, kind, run_id, attempt)
        with span(f"run {kind}", traceparent=claimed.row["traceparent"], run_id=str(run_id), run_attempt=attempt):
            _log.info("claimed", kind=kind, worker=runtime.worker)
            became, envelope = _attempt(runtime, claimed, mirror)
            _log.info("attempt ended", outcome=became, seconds=round(time.monotonic() - claimed.began_s, 3))
        metrics.FINISHED.labels(kind, became).inc()
        metrics.RUN_SECONDS.labels(kind).observe(time.monotonic() - claimed.began_s)
    if envelope is None:
        return None
    for stage, seconds in envelope.stage_seconds.items():
        metrics.STAGE_SECONDS.labels(kind, stage).observe(seconds)
    if envelope.error is not None and became == "failed":
        raise RunFailed(f"{envelope.error.type}: {envelope.error.message} (error id {envelope.error.error_id})")
    return envelope.model_dump(mode="json")


def _claim(runtime: Runtime, kind: str, run_id: UUID, attempt: int) -> Claimed:
    began_s = time.monotonic()
    with autocommit(runtime.engine) as session:
        row = sync.claim(session, run_id, attempt, runtime.worker, runtime.settings.lease_s)
    if row is None:
        metrics.DUPLICATES.labels(kind).inc()
        _log.info("not claimed: a repeat, or the run has moved on")
        raise NotOurs(f"{run_id}:{attempt}")
    metrics.CLAIMS.labels(kind).inc()
    metrics.START_SECONDS.labels(row["pool"]).observe((row["changed_at"] - row["queued_at"]).total_seconds())
    return Claimed(run_id, attempt, row["kind"], dict(row), began_s)


def _attempt(runtime: Runtime, claimed: Claimed, mirror: Callable[[News], None]) -> tuple[str, Envelope | None]:
    kind = KINDS[claimed.kind]
    reporter = RunReporter(claimed.attempt)
    workdir = name_workdir(runtime.settings, runtime.worker)
    killer = _Killer(runtime, claimed, workdir)
    keeper = Keeper(
        runtime.engine,
        runtime.settings,
        claimed.run_id,
        claimed.attempt,
        reporter,
        Limits(*runtime.settings.kind_limits_s.get(claimed.kind, (kind.soft_limit_s, kind.hard_limit_s))),
        claimed_s=claimed.began_s,
        draining=runtime.draining,
        kill=killer,
        mirror=mirror,
    )
    killer.keeper, killer.reporter = keeper, reporter
    try:
        with keeper, RunLog(runtime.store, claimed.prefix, reporter) as log:
            outcome = _body(runtime, claimed, reporter, log, killer, workdir)
        return settle(
            runtime,
            claimed,
            checked(outcome, runtime.settings.result_limit_bytes),
            keeper.unwritten(),
            reporter.stage_seconds(),
            keeper.lease_ends_s,
        )
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def _body(
    runtime: Runtime, claimed: Claimed, reporter: RunReporter, log: RunLog, killer: "_Killer", workdir: Path
) -> Outcome:
    """Read the spec, find the checkpoint, run the body in its mode."""
    body = RUN_BODIES[claimed.kind]
    try:
        checkpoint = _newest_checkpoint(runtime, claimed) if claimed.attempt > 1 else None
        if body.mode == "supervised":
            return supervise(runtime, claimed, body, reporter, log, checkpoint, workdir, killer.set_target)
        return run_inline(runtime, claimed, resolve(body.target), reporter, log, checkpoint, workdir)
    except (Retryable, *AWAY) as error:
        _log.warning("what the attempt needs is away", exc_info=error)
        return Away(f"{type(error).__name__}: {storable(str(error)[:200])}", getattr(error, "delay_s", _RETRY_S))
    except Exception as error:  # noqa: BLE001 - the boundary: a crash is told at once, not when the lease has ended
        _log.exception("the attempt could not be carried out")
        return Crashed(f"{type(error).__name__}: {storable(str(error)[:200])}", Cause.BUG)


def _newest_checkpoint(runtime: Runtime, claimed: Claimed) -> Stored | None:
    with transaction(runtime.engine) as session:
        row = session.execute(_CHECKPOINT, {"id": claimed.run_id, "attempt": claimed.attempt}).one_or_none()
    return Stored(row.key, row.size_bytes, row.sha256) if row else None


class _Killer:
    """What the keeper calls for a body that does not stop: kills the trainer, or writes the end and kills itself."""

    def __init__(self, runtime: Runtime, claimed: Claimed, workdir: Path) -> None:
        self._workdir = workdir
        self._runtime = runtime
        self._claimed = claimed
        self._target: Callable[[], None] | None = None
        self.keeper: Keeper | None = None
        self.reporter: RunReporter | None = None

    def set_target(self, kill: Callable[[], None]) -> None:
        """How to kill the trainer."""
        self._target = kill

    def __call__(self, reason: StopReason) -> None:
        if self._target is not None:
            self._target()
        elif self._runtime.own_process and self.keeper is not None and self.reporter is not None:
            outcome = checked(Stopped(reason), self._runtime.settings.result_limit_bytes)
            settle(
                self._runtime,
                self._claimed,
                outcome,
                self.keeper.unwritten(),
                self.reporter.stage_seconds(),
                self.keeper.lease_ends_s,
            )
            _log.warning("the worker process ends itself: its body does not stop", reason=reason)
            shutil.rmtree(self._workdir, ignore_errors=True)
            os.kill(os.getpid(), signal.SIGKILL)

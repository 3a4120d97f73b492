"""How a body ended, whichever way it was run, and how that is written down: one commit with the last news."""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.db.session import AWAY, Executes, autocommit, transaction
from shared.queue.runtime import Runtime
from shared.runs import setback, sync
from shared.runs.errors import cancelled, named_cause
from shared.runs.keeper import write_news
from shared.runs.reporter import News, StopReason

_log = structlog.get_logger(__name__)
_RETRY_S = 0.5
_NOT_STORABLE = "A body returns plain JSON: text without NUL characters, numbers of at most 64 bits."


class RunFailed(Exception):
    """Raised after a failure is written down, so that Celery and its alerts see it too."""


@dataclass(frozen=True)
class Succeeded:
    """The body returned."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The body raised, or broke a limit: trying again would not help."""

    error: ErrorInfo


@dataclass(frozen=True)
class Stopped:
    """The body did as it was asked."""

    reason: StopReason


@dataclass(frozen=True)
class Crashed:
    """Its process died: another attempt may do better. `what` ends a sentence."""

    what: str
    cause: Cause


@dataclass(frozen=True)
class Away:
    """Something that the body needs is away: another attempt, later, may find it there."""

    what: str
    delay_s: float


Outcome = Succeeded | Failed | Stopped | Crashed | Away


@dataclass(frozen=True)
class Claimed:
    """One attempt of one run, taken."""

    run_id: UUID
    attempt: int
    kind: str
    row: dict[str, Any] = field(repr=False)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def task_id(self) -> str:
        """Id of its Celery task."""
        return f"{self.run_id}:{self.attempt}"

    @property
    def prefix(self) -> str:
        """Where its files are."""
        return f"projects/{self.row['project_id']}/runs/{self.run_id}/{self.attempt}"

    def envelope(self, outcome: Succeeded | Failed, stage_seconds: dict[str, float]) -> Envelope:
        """The only shape of a finished run."""
        return Envelope(
            success=isinstance(outcome, Succeeded),
            run_id=self.run_id,
            attempt=self.attempt,
            task_id=self.task_id,
            kind=self.kind,
            duration_seconds=round(time.monotonic() - self.began_s, 3),
            stage_seconds=stage_seconds,
            result=outcome.result if isinstance(outcome, Succeeded) else None,
            error=outcome.error if isinstance(outcome, Failed) else None,
        )


def checked(outcome: Outcome, limit_bytes: int) -> Outcome:
    """A result must be small and JSON; a stop for a time limit is a failure."""
    if isinstance(outcome, Succeeded):
        try:
            size = len(orjson.dumps(outcome.result))
        except TypeError as error:
            return Failed(_not_storable(f"The result is no JSON: {error}"))
        if size > limit_bytes:
            return Failed(
                named_cause(
                    "ResultTooLarge",
                    f"The result has {size} bytes, the limit is {limit_bytes}.",
                    "A body returns keys and figures; it puts arrays into artifacts.",
                    Cause.TOO_LARGE,
                )
            )
    if isinstance(outcome, Stopped) and outcome.reason == "time_limit":
        return Failed(
            named_cause(
                "TimeLimit",
                "The run took longer than its kind may.",
                "Ask for less at once, or raise the limit (FAULTLINE_KIND_LIMITS_S).",
                Cause.TIME_LIMIT,
            )
        )
    return outcome


def _not_storable(message: str) -> ErrorInfo:
    return named_cause("NotStorable", message, _NOT_STORABLE, Cause.BUG)


def settle(
    runtime: Runtime,
    claimed: Claimed,
    outcome: Outcome,
    news: News,
    stage_seconds: dict[str, float],
    deadline_s: float,
) -> tuple[str, Envelope | None]:
    """Write the end of an attempt. Returns what became of the run and its envelope, if it is over.

    While the database is away it is tried again, until the lease ends; then the reaper owns the run. Of a claim that is
    lost nothing is written, and a database that says nothing is not asked.
    """
    if isinstance(outcome, Stopped) and outcome.reason == "lost":
        return "lost", None
    while True:
        try:
            if isinstance(outcome, Succeeded | Failed) and not news:
                with autocommit(runtime.engine) as one:
                    return _end(one, claimed, outcome, stage_seconds)
            with transaction(runtime.engine) as session:
                return _write(session, runtime, claimed, outcome, news, stage_seconds)
        except AWAY as error:
            if time.monotonic() + _RETRY_S >= deadline_s:
                _log.error("the end of the attempt is not written; the run starts again", exc_info=error)
                return "lost", None
            _log.warning("the database is away; the end of the attempt is written again", error=str(error)[:300])
            time.sleep(_RETRY_S)
        except SQLAlchemyError as error:
            if isinstance(outcome, Failed) and outcome.error.type == "NotStorable":
                raise
            _log.exception("the database refuses the end of the attempt as it is")
            news, outcome = News(), Failed(_not_storable(str(error.__cause__ or error)))


def _write(
    session: Session,
    runtime: Runtime,
    claimed: Claimed,
    outcome: Outcome,
    news: News,
    stage_seconds: dict[str, float],
) -> tuple[str, Envelope | None]:
    run_id, attempt = claimed.run_id, claimed.attempt
    if news and write_news(session, run_id, attempt, news, runtime.settings.lease_s) is None:
        return "lost", None
    if isinstance(outcome, Crashed):
        run = session.get_one(Run, run_id, with_for_update=True)
        return setback.crashed(session, runtime.settings, run, outcome.what, outcome.cause), None
    if isinstance(outcome, Away):
        run = session.get_one(Run, run_id, with_for_update=True)
        return setback.put_off(session, runtime.settings, run, outcome.what, outcome.delay_s), None
    if isinstance(outcome, Stopped) and outcome.reason == "preempt":
        return ("preempted" if sync.preempt(session, run_id, attempt) else "lost"), None
    if isinstance(outcome, Stopped) and outcome.reason == "pause":
        if not sync.requeue(session, run_id, attempt=attempt, only_from=[RunState.RUNNING], reason="asked to pause"):
            return "lost", None
        return session.get_one(Run, run_id, populate_existing=True).state, None
    return _end(session, claimed, outcome, stage_seconds)


def _end(
    session: Executes, claimed: Claimed, outcome: Succeeded | Failed | Stopped, stage_seconds: dict[str, float]
) -> tuple[str, Envelope | None]:
    if isinstance(outcome, Stopped):
        to, envelope = RunState.CANCELLED, claimed.envelope(Failed(cancelled()), stage_seconds)
    else:
        to = RunState.SUCCEEDED if isinstance(outcome, Succeeded) else RunState.FAILED
        envelope = claimed.envelope(outcome, stage_seconds)
    written = sync.finish(session, claimed.run_id, to, envelope, attempt=claimed.attempt)
    return (to.value, envelope) if written else ("lost", None)

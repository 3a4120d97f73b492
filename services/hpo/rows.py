"""The rows of one campaign, under the lock of its parent run: read once per step, written once.

What happens to trials is noted and written together: a statement takes longer to come and go than to run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from shared.contracts.campaigns import Budget, TrialState
from shared.contracts.space import Point
from shared.db.session import Executes
from shared.runs.submit import Caller, queue

#: Both rows are read as they are once they are locked, however long that took. A sampler may think for long with
#: nothing said to the database; the default of the patience is for those who only write.
_LOCK = text(
    """
    SELECT runs.project_id, runs.created_by, runs.spec, runs.spec_version, runs.labels, runs.priority, runs.attempt,
        runs.traceparent, runs.cancel_requested_at, runs.pause_requested_at,
        extract(epoch FROM now() - runs.created_at) AS age_s,
        name, campaigns.pool, sampler, stopping, max_parallel, budget, study_attrs, asked, carried, ended, failures,
        front, improved_at, gpu_s, cost, revision, reason, active_s, active_since, look_at, winner_run_id, score_run_id,
        extract(epoch FROM now() - campaigns.active_since) AS since_s, now() AS now,
        set_config('idle_in_transaction_session_timeout', :patience_ms, true)
    FROM campaigns JOIN runs ON runs.id = campaigns.id WHERE runs.id = :id AND state = 'waiting'
    FOR UPDATE OF runs FOR NO KEY UPDATE OF campaigns
    """
)
#: Columns of both that are taken over under their own names.
_AS_THEY_ARE = (
    "name",
    "pool",
    "spec",
    "spec_version",
    "labels",
    "priority",
    "attempt",
    "traceparent",
    "stopping",
    "max_parallel",
    "study_attrs",
    "asked",
    "carried",
    "ended",
    "failures",
    "front",
    "improved_at",
    "gpu_s",
    "cost",
    "revision",
    "reason",
    "winner_run_id",
    "score_run_id",
)
_REST = text("UPDATE campaigns SET look_at = NULL WHERE id = :id AND look_at IS NOT NULL")
_OPEN = text(
    """
    SELECT trials.number, trials.state, trials.params, trials.reports, trials.next_rung, trials.tries, trials.run_id,
        runs.state AS run_state, runs.finished_at, runs.cause, runs.envelope, runs.cancel_requested_at
    FROM trials LEFT JOIN runs ON runs.id = trials.run_id
    WHERE trials.campaign_id = :id AND trials.finished_at IS NULL ORDER BY runs.finished_at, trials.number
    """
)
_NOTED = """
    told AS (
        UPDATE trials SET state = given.state, scores = given.scores, violations = given.violations,
            reports = given.reports, next_rung = given.next_rung, attrs = given.attrs, error = given.error,
            revision = :trials_revision, finished_at = CASE WHEN ended THEN now() END
        FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS given (number int, state text, scores double precision[],
            violations double precision[], reports jsonb, next_rung bigint, attrs jsonb, error text, ended boolean)
        WHERE campaign_id = :id AND trials.number = given.number
            AND trials.number = ANY(CAST(:numbers AS int[]))  -- else all trials are read for the few
    ), started AS (
        INSERT INTO trials (campaign_id, number, state, origin, params, attrs, next_rung, run_id, tries, revision,
            error, finished_at)
        SELECT :id, number, state, origin, params, attrs, next_rung, run_id, tries, :trials_revision, error,
            CASE WHEN ended THEN now() END
        FROM jsonb_to_recordset(CAST(:started AS jsonb)) AS given (number int, state text, origin text, params jsonb,
            attrs jsonb, next_rung bigint, run_id uuid, tries int, error text, ended boolean)
        ON CONFLICT (campaign_id, number) DO UPDATE SET state = excluded.state, params = excluded.params,
            attrs = excluded.attrs, next_rung = excluded.next_rung, run_id = excluded.run_id, tries = excluded.tries,
            revision = excluded.revision, error = excluded.error, finished_at = excluded.finished_at
    )
"""
_FLUSH = text(f"WITH {_NOTED} SELECT 1")
_WRITE = text(
    f"""
    WITH {_NOTED}
    UPDATE campaigns SET asked = :asked, ended = :ended, failures = :failures, front = CAST(:front AS jsonb),
        improved_at = :improved_at, gpu_s = :gpu_s, cost = :cost, revision = :revision, reason = :reason,
        study_attrs = CAST(:study_attrs AS jsonb), winner_run_id = :winner_run_id,
        score_run_id = :score_run_id, active_since = CASE WHEN :active THEN coalesce(active_since, now()) END,
        active_s = CASE WHEN :active THEN active_s ELSE :active_s END,
        look_at = now() + make_interval(secs => CAST(:look_s AS double precision))
    WHERE id = :id
    """  # noqa: S608 - constants
)
_NEWS = text(
    """
    WITH told AS (UPDATE runs SET event_seq = event_seq + 1 WHERE id = :id RETURNING id, event_seq, attempt)
    INSERT INTO run_events (run_id, seq, attempt, type, data)
    SELECT id, event_seq, attempt, :type, CAST(:data AS jsonb) FROM told
    """
)


@dataclass
class CampaignRow:
    """What may change in a step, and what it needs to know."""

    id: UUID
    caller: Caller
    name: str
    pool: str
    spec: dict[str, Any]
    spec_version: int
    used: dict[str, Any]  #: the sampler
    labels: dict[str, str]
    priority: int
    attempt: int
    traceparent: str | None
    cancelled: bool
    paused: bool
    stopping: str | None
    max_parallel: int
    budget: Budget
    study_attrs: dict[str, Any]
    asked: int
    carried: int
    ended: int
    ended_before: int  #: at the beginning of the step
    failures: int
    front: list[list[Any]]
    improved_at: int
    gpu_s: float
    cost: float
    revision: int
    reason: str | None
    active_s: float  #: what its clock shows
    stale: bool  #: its clock or its next look is to be set
    winner_run_id: UUID | None
    score_run_id: UUID | None
    age_s: float
    changed: bool = field(default=False)
    queue_full: bool = field(default=False)  #: the project may queue no more for now
    room: float | None = field(default=None)  #: how many runs the project may queue in this step, once it was asked
    noted_runs: list[dict[str, Any]] = field(default_factory=list)
    noted_told: list[dict[str, Any]] = field(default_factory=list)
    noted_started: list[dict[str, Any]] = field(default_factory=list)

    @property
    def next_revision(self) -> int:
        """Of what this step changes."""
        return self.revision + 1

    @property
    def own(self) -> int:
        """Trials that count towards the budget."""
        return self.asked - self.carried


def lock(session: Executes, campaign_id: UUID, patience_s: float) -> CampaignRow | None:
    """The campaign, locked until the commit. None: it has ended."""
    values = {"id": campaign_id, "patience_ms": str(int(patience_s * 1000))}
    row = session.execute(_LOCK, values).one_or_none()
    if row is None:
        session.execute(_REST, {"id": campaign_id})
        return None
    active_s = row.active_s + (float(row.since_s) if row.since_s is not None else 0.0)
    return CampaignRow(
        id=campaign_id,
        caller=Caller(row.created_by, row.project_id),
        used=row.sampler,
        cancelled=row.cancel_requested_at is not None,
        paused=row.pause_requested_at is not None,
        budget=Budget(**row.budget),
        active_s=active_s,
        stale=(row.active_since is None) != (row.pause_requested_at is not None)
        or (row.look_at is not None and row.look_at <= row.now),
        age_s=float(row.age_s),
        ended_before=row.ended,
        **{column: getattr(row, column) for column in _AS_THEY_ARE},
    )


def write(session: Executes, row: CampaignRow, study_attrs: dict[str, Any], look_s: float | None) -> None:
    """Write what a step has changed; its clock stands while it is paused. `look_s`: when it is looked at again."""
    session.execute(
        _WRITE,
        {
            **_noted(session, row),
            "asked": row.asked,
            "ended": row.ended,
            "failures": row.failures,
            "front": orjson.dumps(row.front).decode(),
            "improved_at": row.improved_at,
            "gpu_s": row.gpu_s,
            "cost": row.cost,
            "revision": row.revision + int(row.changed),
            "reason": row.reason,
            "study_attrs": orjson.dumps(study_attrs).decode(),
            "active": not row.paused,
            "active_s": row.active_s,
            "winner_run_id": row.winner_run_id,
            "score_run_id": row.score_run_id,
            "look_s": look_s,
        },
    )


def open_trials(session: Executes, campaign_id: UUID) -> list[Any]:
    """Trials that have not ended, with their runs; those whose run has ended come first, in the order of their ends."""
    return list(session.execute(_OPEN, {"id": campaign_id}).all())


def flush(session: Executes, row: CampaignRow) -> None:
    """Write the trials that were noted, and queue their runs, before `write`: for what is to be read meanwhile."""
    session.execute(_FLUSH, _noted(session, row))


def _noted(session: Executes, row: CampaignRow) -> dict[str, Any]:
    """Queue the runs that were noted, together; what is to be written of the trials."""
    if row.noted_runs:
        queue(session, row.caller, row.noted_runs)
    numbers = [trial["number"] for trial in row.noted_told]
    told, started = orjson.dumps(row.noted_told), orjson.dumps(row.noted_started, default=str)
    row.noted_runs, row.noted_told, row.noted_started = [], [], []
    return {
        "id": row.id,
        "trials_revision": row.next_revision,
        "numbers": numbers,
        "told": told.decode(),
        "started": started.decode(),
    }


def told(
    row: CampaignRow,
    number: int,
    state: TrialState,
    attrs: dict[str, Any],
    *,
    ended: bool,
    scores: Sequence[float] | None = None,
    violations: Sequence[float] | None = None,
    reports: dict[str, Any] | None = None,
    next_rung: int | None = None,
    error: str | None = None,
) -> None:
    """Note what became of a trial."""
    row.changed = True
    row.noted_told.append(
        {
            "number": number,
            "state": state,
            "scores": scores,
            "violations": violations,
            "reports": reports or {},
            "next_rung": next_rung,
            "attrs": attrs,
            "error": error,
            "ended": ended,
        }
    )


def started(
    row: CampaignRow,
    number: int,
    state: TrialState,
    origin: str,
    point: Point,
    attrs: dict[str, Any],
    *,
    next_rung: int | None = None,
    run: dict[str, Any] | None = None,
    tries: int = 1,
    error: str | None = None,
) -> None:
    """Note a trial that begins with its run, or one that could not."""
    row.changed = True
    row.asked = max(row.asked, number + 1)
    if run is not None:
        row.noted_runs.append(run)
    row.noted_started.append(
        {
            "number": number,
            "state": state,
            "origin": origin,
            "params": point,
            "attrs": attrs,
            "next_rung": next_rung,
            "run_id": run["id"] if run is not None else None,
            "tries": tries,
            "error": error,
            "ended": state == TrialState.FAILED,
        }
    )


def changed(trial: Any, **values: Any) -> Any:
    """A row of `open_trials` with some of its columns replaced."""
    return SimpleNamespace(**{**trial._asdict(), **values})


def news(session: Executes, campaign_id: UUID, type_: str, data: dict[str, Any]) -> None:
    """Tell what happened as an event of the parent run."""
    session.execute(_NEWS, {"id": campaign_id, "type": type_, "data": orjson.dumps(data).decode()})

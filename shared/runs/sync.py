"""The one guarded writer: every change of a run is one UPDATE that holds only from the right state and attempt, with
its event row and its NOTIFY in the same statement. Whoever comes too late changes nothing and is told so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session
from uuid6 import uuid7

from shared.contracts.campaigns import ADVANCE, CAMPAIGN
from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope
from shared.contracts.states import EDGES, TERMINAL, RunState
from shared.contracts.views import MetricPoint, Progress
from shared.db.listen import RUNS_CHANNEL
from shared.db.models import Run
from shared.db.session import Executes
from shared.runs import outbox
from shared.runs.body import Put
from shared.runs.errors import cancelled, failure
from shared.runs.signature import signature

_FROM = {state: sorted(source for source, targets in EDGES.items() if state in targets) for state in RunState}

#: What else changes with a state; `attempt` counts up where the next try is a new one.
_SETS = {
    RunState.DISPATCHED: "dispatched_at = now()",
    RunState.RUNNING: "worker = :worker, lease_expires_at = now() + make_interval(secs => :lease_s), "
    "started_at = coalesce(started_at, now()), fraction = 0, stage = NULL, stage_current = NULL, "
    "stage_total = NULL, eta_seconds = NULL",
    RunState.QUEUED: "attempt = attempt + :step, crashes = crashes + :crashed, worker = NULL, "
    "lease_expires_at = NULL, queued_at = CASE WHEN :step = 0 THEN queued_at ELSE now() END, "
    "not_before = CASE WHEN :delay_s > 0 THEN now() + make_interval(secs => :delay_s) ELSE not_before END, "
    "pause_requested_at = NULL, away_s = away_s + :away_s",
    RunState.PREEMPTED: "lease_expires_at = NULL, worker = NULL",
    RunState.PAUSED: "lease_expires_at = NULL, worker = NULL, crashes = crashes + :crashed",
    RunState.WAITING: "lease_expires_at = NULL, worker = NULL",
}
#: A watcher that was cut off may come back this much later and still be told every step of the way.
_PROGRESS_KEPT_S = 3600.0
#: Nobody has asked for its end or its rest.
_WANTED = "AND cancel_requested_at IS NULL AND pause_requested_at IS NULL"
_END = (
    "finished_at = now(), lease_expires_at = NULL, envelope = CAST(:envelope AS jsonb), cause = :cause, "
    "error_signature = :signature"
)
#: What a worker is told of the run that it has claimed.
_CLAIMED = "id, kind, project_id, pool, spec, spec_version, inputs, traceparent, queued_at"
#: What is to be done after an end.
_STEPS = outbox.asked_for(
    f"""
    SELECT CASE parent.kind WHEN '{CAMPAIGN}' THEN '{ADVANCE}' ELSE 'parent.advance' END AS step,
        parent.id AS run_id, changed.traceparent, 0.0 AS delay_s
    FROM changed JOIN runs AS parent ON parent.id = changed.parent_id WHERE :tell_parent
    UNION ALL
    SELECT 'run.cleanup', id, traceparent, 0.0 FROM changed
    WHERE started_at IS NOT NULL AND (attempt > 1 OR state <> 'succeeded' OR (
        SELECT true FROM artifacts WHERE run_id = changed.id AND role = 'checkpoint' LIMIT 1))
    UNION ALL
    SELECT 'run.forget_progress', id, traceparent, {_PROGRESS_KEPT_S} FROM changed
    WHERE EXISTS (SELECT 1 FROM run_events WHERE run_id = changed.id AND type = 'progress' OFFSET 1)
    """  # noqa: S608 - constants
)


@lru_cache(maxsize=64)
def _statement(to: RunState, guard: str) -> TextClause:
    sets = _END if to in TERMINAL else _SETS[to]
    asked, rung = (f", {_STEPS}", f", {outbox.RUNG}") if to in TERMINAL else ("", "")
    wanted = _CLAIMED if to == RunState.RUNNING else "id"
    return text(
        f"""
        WITH changed AS (
            UPDATE runs SET state = '{to.value}', event_seq = event_seq + 1, {sets}
            WHERE id = :id AND state = ANY(:from_states) {guard}
            RETURNING *
        ), told AS (
            INSERT INTO run_events (run_id, seq, attempt, type, data)
            SELECT id, event_seq, attempt, 'state', CAST(:data AS jsonb) FROM changed
        ){asked}
        SELECT {wanted}, now() AS changed_at, pg_notify(
            '{RUNS_CHANNEL}', concat_ws(' ', id, event_seq, state, pool)
        ){rung} FROM changed
        """  # noqa: S608 - built from constants of this module
    )


def change(
    session: Executes,
    run_id: UUID,
    to: RunState,
    *,
    attempt: int | None = None,
    only_from: Sequence[RunState] | None = None,
    guard: str = "",
    reason: str | None = None,
    **values: Any,
) -> Mapping[str, Any] | None:
    """Move a run along an edge. Returns what a claim needs to know, else the id; None if it is not there to be moved.

    Raises `ValueError` for a source state that has no edge to `to`.
    """
    sources = list(only_from or _FROM[to])
    if not set(sources) <= set(_FROM[to]):
        raise ValueError(f"no edge from {sources} to {to}")
    data = {"state": to.value} | ({"reason": reason} if reason else {})
    fence = guard if attempt is None else f"AND attempt = :attempt {guard}"
    row = session.execute(
        _statement(to, fence),
        {
            "id": run_id,
            "from_states": [source.value for source in sources],
            "attempt": attempt,
            "data": orjson.dumps(data).decode(),
            **values,
        },
    )
    found = row.mappings().one_or_none()
    return dict(found) if found else None


def claim(session: Executes, run_id: UUID, attempt: int, worker: str, lease_s: float) -> Mapping[str, Any] | None:
    """Take a run whose message came. None: another delivery has it, its pool is paused, or it is over.

    A message may be faster than its dispatcher's commit: the row then still reads `queued` and is locked, and the
    update waits for the commit. If the dispatcher died instead, the row is taken as it is.
    """
    return change(
        session,
        run_id,
        RunState.RUNNING,
        attempt=attempt,
        guard=f"{_WANTED} AND NOT EXISTS (SELECT 1 FROM pool_controls WHERE name = runs.pool AND paused)",  # noqa: S608 - constants
        worker=worker,
        lease_s=lease_s,
    )


_DISPATCHED = text(
    f"""
    WITH changed AS (
        UPDATE runs SET state = 'dispatched', event_seq = event_seq + 1, {_SETS[RunState.DISPATCHED]}
        WHERE id = ANY(:ids) AND state = 'queued' RETURNING id, event_seq, attempt, pool
    ), told AS (
        INSERT INTO run_events (run_id, seq, attempt, type, data)
        SELECT id, event_seq, attempt, 'state', '{{"state": "dispatched"}}' FROM changed
    )
    SELECT count(pg_notify('{RUNS_CHANNEL}', concat_ws(' ', id, event_seq, 'dispatched', pool))) AS moved FROM changed
    """  # noqa: S608 - built from constants of this module
)


def dispatched(session: Executes, run_ids: Sequence[UUID]) -> int:
    """Move many queued runs, which the caller has locked, along the edge to `dispatched`. Returns how many."""
    moved: int = session.execute(_DISPATCHED, {"ids": list(run_ids)}).scalar()
    return moved


@dataclass(frozen=True)
class Orders:
    """What the owner of a run wants of the attempt that holds it."""

    cancel: bool
    pause: bool


_RENEW = text(
    "UPDATE runs SET lease_expires_at = now() + make_interval(secs => :lease_s) "
    "WHERE id = :id AND attempt = :attempt AND state = 'running' RETURNING cancel_requested_at, pause_requested_at"
)
_RENEW_AND_TELL = text(
    """
    WITH held AS (
        UPDATE runs SET lease_expires_at = now() + make_interval(secs => :lease_s), event_seq = event_seq + 1,
            fraction = greatest(fraction, :fraction), stage = :stage, stage_current = :current, stage_total = :total,
            eta_seconds = :eta_seconds
        WHERE id = :id AND attempt = :attempt AND state = 'running'
        RETURNING id, event_seq, attempt, cancel_requested_at, pause_requested_at
    ), told AS (
        INSERT INTO run_events (run_id, seq, attempt, type, data)
        SELECT id, event_seq, attempt, 'progress', CAST(:data AS jsonb) FROM held
    )
    SELECT cancel_requested_at, pause_requested_at FROM held
    """
)


def renew(
    session: Executes, run_id: UUID, attempt: int, lease_s: float, progress: Progress | None = None
) -> Orders | None:
    """Prolong the lease and write the newest progress, in one statement. None: the claim is lost, stop at once."""
    values: dict[str, Any] = {"id": run_id, "attempt": attempt, "lease_s": lease_s}
    if progress is not None:
        told = progress.model_dump()
        values |= {"data": orjson.dumps(told).decode(), **told}
    row = session.execute(_RENEW if progress is None else _RENEW_AND_TELL, values).one_or_none()
    if row is None:
        return None
    return Orders(cancel=row.cancel_requested_at is not None, pause=row.pause_requested_at is not None)


_NEXT_SEQ = text(
    "UPDATE runs SET event_seq = event_seq + 1 WHERE id = :id AND attempt = :attempt AND state = 'running' "
    "RETURNING event_seq"
)
_EVENT = text(
    "INSERT INTO run_events (run_id, seq, attempt, type, data) "
    "VALUES (:id, :seq, :attempt, :type, CAST(:data AS jsonb))"
)


def tell(session: Executes, run_id: UUID, attempt: int, type_: str, data: dict[str, Any]) -> bool:
    """Write one event of a running attempt. False: the claim is lost. Holds the row until the commit."""
    seq = session.execute(_NEXT_SEQ, {"id": run_id, "attempt": attempt}).scalar()
    if seq is None:
        return False
    session.execute(
        _EVENT,
        {"id": run_id, "seq": seq, "attempt": attempt, "type": type_, "data": orjson.dumps(data).decode()},
    )
    return True


#: A trial that has come to its next rung is to be judged.
_JUDGED = outbox.asked_for(
    f"SELECT '{ADVANCE}' AS step, campaign_id AS run_id, CAST(NULL AS text) AS traceparent, 0.0 AS delay_s "  # noqa: S608
    "FROM trials WHERE run_id = :id AND next_rung <= :up_to"
)
_POINTS = text(
    f"""
    WITH added AS (
        INSERT INTO run_metrics (run_id, attempt, name, step, value)
        SELECT :id, :attempt, * FROM unnest(
            CAST(:names AS text[]), CAST(:steps AS bigint[]), CAST(:points AS double precision[]))
        ON CONFLICT (run_id, attempt, name, step) DO UPDATE SET value = excluded.value
    ), {_JUDGED} SELECT {outbox.RUNG}
    """  # noqa: S608 - constants
)


def add_metrics(session: Executes, run_id: UUID, attempt: int, points: Sequence[MetricPoint]) -> bool:
    """Write points in bulk, with one event. False: the claim is lost."""
    latest = {(point.name, point.step): point.value for point in points}
    newest = {name: value for (name, _step), value in latest.items()}
    up_to = max(point.step for point in points)
    data = {"up_to_step": up_to, "latest": newest}
    if not tell(session, run_id, attempt, "metrics", data):
        return False
    session.execute(
        _POINTS,
        {
            "id": run_id,
            "attempt": attempt,
            "up_to": up_to,
            "names": [name for name, _step in latest],
            "steps": [step for _name, step in latest],
            "points": [math.nan if value is None else value for value in latest.values()],
        },
    )
    return True


_HELD = text("SELECT 1 FROM runs WHERE id = :id AND attempt = :attempt AND state = 'running' FOR UPDATE")
#: An outage before this checkpoint is over and done with.
_MOVED_ON = text("UPDATE runs SET away_s = 0 WHERE id = :id AND away_s > 0")
_PUT = text(
    """
    INSERT INTO artifacts (id, run_id, attempt, role, name, step, key, size_bytes, sha256, content_type)
    VALUES (:uuid, :id, :attempt, :role, :name, :step, :key, :size_bytes, :sha256, :content_type)
    ON CONFLICT (run_id, attempt, role, name) DO UPDATE
    SET size_bytes = excluded.size_bytes, sha256 = excluded.sha256, step = excluded.step
    """
)


def add_files(session: Executes, run_id: UUID, attempt: int, puts: Sequence[Put]) -> bool:
    """Make files exist. False: the claim is lost and they never do."""
    if session.execute(_HELD, {"id": run_id, "attempt": attempt}).first() is None:
        return False
    if any(put.role == "checkpoint" for put in puts):
        session.execute(_MOVED_ON, {"id": run_id})
    for put in puts:
        if put.role != "log" and not tell(
            session, run_id, attempt, "artifact", {"name": put.name, "role": put.role, "size": put.stored.size_bytes}
        ):
            return False
        session.execute(
            _PUT,
            {
                "uuid": uuid7(),
                "id": run_id,
                "attempt": attempt,
                "role": put.role,
                "name": put.name,
                "step": put.step,
                "key": put.stored.key,
                "size_bytes": put.stored.size_bytes,
                "sha256": put.stored.sha256,
                "content_type": put.content_type,
            },
        )
    return True


def finish(
    session: Executes,
    run_id: UUID,
    to: RunState,
    envelope: Envelope,
    *,
    attempt: int | None = None,
    only_from: Sequence[RunState] | None = None,
    guard: str = "",
    tell_parent: bool = True,
) -> bool:
    """End a run: state, envelope, event and the steps that follow, in one statement. False: it was not there.

    `tell_parent=False` is for a parent that ends its own children and looks at them itself.
    """
    error = envelope.error
    troubled = error is not None and to in {RunState.FAILED, RunState.QUARANTINED}
    cause = (error.cause or Cause.BUG) if error and troubled else None
    own = error is not None and cause not in {None, Cause.CHILDREN}  #: a parent's trouble is that of its children
    row = change(
        session,
        run_id,
        to,
        attempt=attempt,
        only_from=only_from,
        guard=guard,
        reason=error.message if error else None,
        tell_parent=tell_parent,
        envelope=envelope.model_dump_json(),
        cause=cause,
        signature=signature(envelope.kind, error) if error and own else None,
    )
    return row is not None


def requeue(
    session: Session,
    run_id: UUID,
    *,
    attempt: int,
    only_from: Sequence[RunState],
    reason: str,
    same_attempt: bool = False,
    crashed: bool = False,
    delay_s: float = 0.0,
    away_s: float = 0.0,
    guard: str = "",
) -> bool:
    """Back to the queue: a new attempt, unless nobody ever claimed this one. What is to be cancelled ends instead, what
    is to pause is set aside.

    False: it was not there.
    """
    row = change(
        session,
        run_id,
        RunState.QUEUED,
        attempt=attempt,
        only_from=only_from,
        reason=reason,
        guard=f"{guard} {_WANTED}",
        step=0 if same_attempt else 1,
        crashed=int(crashed),
        delay_s=delay_s,
        away_s=away_s,
    )
    if row is not None:
        return True
    run = session.get_one(Run, run_id, populate_existing=True)
    place: dict[str, Any] = {"attempt": attempt, "only_from": only_from, "guard": guard}
    if run.cancel_requested_at is not None:
        return finish(session, run_id, RunState.CANCELLED, failure(run, cancelled()), **place)
    if run.pause_requested_at is not None:
        paused = change(session, run_id, RunState.PAUSED, reason=reason, crashed=int(crashed), **place)
        return paused is not None
    return False


def preempt(session: Session, run_id: UUID, attempt: int) -> bool:
    """The worker leaves: checkpointed, back to the queue as a new attempt that is no crash."""
    if change(session, run_id, RunState.PREEMPTED, attempt=attempt, reason="the worker is shutting down") is None:
        return False
    return requeue(session, run_id, attempt=attempt, only_from=[RunState.PREEMPTED], reason="preempted")

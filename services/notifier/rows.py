"""The rows of one delivery: taken by one worker at a time, written once per attempt."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.notifier.answer import Answer
from shared.db.session import Executes

#: A bell may be a little ahead of the database's clock.
_EARLY_S = 0.05
_TAKE = text(
    f"""
    SELECT d.id, d.attempts, d.escalates, d.paced, d.give_up_at, d.channel_id, d.subscription_id,
        n.id AS notice_id, n.kind, n.data, n.at, n.run_id, n.acknowledged_at,
        c.project_id, c.created_by, c.name AS channel, c.type, c.service, c.sealed, c.per_minute, c.retry_at,
        c.disabled_at, s.principal_id, s.timezone, now() AS now,
        projects.deleted_at AS project_deleted_at,
        s.id IS NULL OR EXISTS (
            SELECT 1 FROM memberships m JOIN principals p ON p.id = m.principal_id AND p.disabled_at IS NULL
            WHERE m.principal_id = s.principal_id AND m.project_id = c.project_id
        ) AS may_know
    FROM deliveries d JOIN notices n ON n.id = d.notice_id JOIN channels c ON c.id = d.channel_id
    JOIN projects ON projects.id = c.project_id LEFT JOIN subscriptions s ON s.id = d.subscription_id
    WHERE d.id = ANY(CAST(CAST(:ids AS text[]) AS uuid[])) AND (
        d.state = 'pending' AND d.due_at <= now() + make_interval(secs => {_EARLY_S})
        OR d.state = 'sending' AND d.lease_expires_at <= now())
    ORDER BY d.due_at, d.id FOR UPDATE OF d SKIP LOCKED
    """  # noqa: S608 - constant
)
#: The turn of this one within the rate: each takes the next, a short burst comes at once.
_TURN = text(
    """
    UPDATE channels SET free_at = greatest(free_at, now()) + make_interval(secs => :gap_s) WHERE id = :id
    RETURNING greatest(0, extract(epoch FROM free_at - now()) - :burst_s) AS wait_s
    """
)
#: The first after a rest goes alone: the others wait for what becomes of it.
_PROBE = text("UPDATE channels SET retry_at = now() + make_interval(secs => :probe_s) WHERE id = :id")
_SEND = text(
    "UPDATE deliveries SET state = 'sending', attempts = attempts + 1, reason = NULL, paced = false, "
    "lease_expires_at = now() + make_interval(secs => :lease_s), "
    "give_up_at = coalesce(give_up_at, now() + make_interval(secs => :give_up_s)) "
    "WHERE id = ANY(CAST(CAST(:ids AS text[]) AS uuid[]))"
)
_LATER = text(
    "UPDATE deliveries SET state = 'pending', rung_at = NULL, lease_expires_at = NULL, paced = :paced, "
    "due_at = now() + make_interval(secs => :wait_s), reason = :reason, last_error = coalesce(:error, last_error) "
    "WHERE id = :id"
)
_END = text(
    "UPDATE deliveries SET state = :state, lease_expires_at = NULL, reason = :reason, "
    "last_error = coalesce(:error, last_error), delivered_at = CASE WHEN :state = 'delivered' THEN now() END "
    "WHERE id = :id"
)
#: The usual end, in one statement.
_DELIVERED = text(
    """
    WITH held AS (
        UPDATE deliveries SET state = 'delivered', lease_expires_at = NULL, reason = NULL, delivered_at = now()
        WHERE id = :id AND state = 'sending' AND attempts = :attempt RETURNING channel_id
    ), logged AS (
        INSERT INTO delivery_attempts (delivery_id, attempt, ok, status, latency_ms, error, excerpt)
        SELECT id, :attempt, true, :status, :latency_ms, :error, :excerpt FROM deliveries WHERE id = :id
        ON CONFLICT DO NOTHING
    ), works AS (
        UPDATE channels SET failures = 0, failing_since = NULL, retry_at = NULL, last_error = NULL
        WHERE id = (SELECT channel_id FROM held) AND (failures > 0 OR retry_at IS NOT NULL)
    )
    SELECT count(*) AS held FROM held
    """
)
_HELD = text("SELECT 1 FROM deliveries WHERE id = :id AND state = 'sending' AND attempts = :attempt FOR UPDATE")
_LOG = text(
    "INSERT INTO delivery_attempts (delivery_id, attempt, ok, status, latency_ms, error, excerpt) "
    "SELECT id, :attempt, false, :status, :latency_ms, :error, :excerpt FROM deliveries WHERE id = :id "
    "ON CONFLICT DO NOTHING"
)
_BADLY = text(
    """
    UPDATE channels SET failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = :error,
        retry_at = CASE WHEN failures + 1 >= :limit
            THEN now() + make_interval(secs => least(:longest_s, 15 * power(2, least(failures + 1 - :limit, 20)))) END,
        disabled_at = CASE WHEN :gone OR failures + 1 >= :limit
            AND failing_since < now() - make_interval(secs => :disable_s) THEN now() END
    WHERE id = :id AND disabled_at IS NULL
    RETURNING failures, disabled_at
    """
)


def take(session: Executes, delivery_ids: Sequence[str]) -> Sequence[Any]:
    """Those that are due and that nobody has, with notice and channel, locked until the commit."""
    rows: Sequence[Any] = session.execute(_TAKE, {"ids": list(delivery_ids)}).all()
    return rows


def turn(session: Executes, channel_id: UUID, per_minute: float) -> float:
    """Take the next turn within the rate of a channel; in how many seconds it is."""
    gap_s = 60.0 / per_minute
    burst_s = max(gap_s, 1.0)  # a second's worth comes at once
    return float(session.execute(_TURN, {"id": channel_id, "gap_s": gap_s, "burst_s": burst_s}).one().wait_s)


def probe(session: Executes, channel_id: UUID, probe_s: float) -> None:
    """Let the others of a channel that has failed wait for this one."""
    session.execute(_PROBE, {"id": channel_id, "probe_s": probe_s})


def send(session: Executes, delivery_ids: Sequence[UUID], lease_s: float, give_up_s: float) -> None:
    """Attempts begin."""
    session.execute(_SEND, {"ids": [str(one) for one in delivery_ids], "lease_s": lease_s, "give_up_s": give_up_s})


def later(
    session: Executes, delivery_id: UUID, wait_s: float, reason: str, *, error: str | None = None, paced: bool = False
) -> None:
    """It waits; a worker is called when its time has come."""
    values = {"id": delivery_id, "wait_s": wait_s, "reason": reason, "error": error, "paced": paced}
    session.execute(_LATER, values)


def end(session: Executes, delivery_id: UUID, state: str, reason: str | None = None, error: str | None = None) -> None:
    """It is delivered, dropped or given up."""
    session.execute(_END, {"id": delivery_id, "state": state, "reason": reason, "error": error})


def log(session: Executes, delivery_id: UUID, attempt: int, answer: Answer) -> bool:
    """Write what an attempt came to; a good one ends the delivery. False: it took so long that another has begun."""
    values = {
        "id": delivery_id,
        "attempt": attempt,
        "status": answer.status,
        "latency_ms": answer.latency_ms,
        "error": answer.error,
        "excerpt": answer.excerpt,
    }
    if answer.ok:
        return bool(session.execute(_DELIVERED, values).one().held)
    held = session.execute(_HELD, {"id": delivery_id, "attempt": attempt}).first()
    session.execute(_LOG, values)
    return held is not None


def went_badly(
    session: Executes, channel_id: UUID, error: str, *, gone: bool, limit: int, longest_s: float, disable_s: float
) -> Any:
    """The channel failed once more; after `limit` times it rests, after `disable_s` it is switched off. Its row."""
    values = {
        "id": channel_id,
        "error": error[:500],
        "gone": gone,
        "limit": limit,
        "longest_s": longest_s,
        "disable_s": disable_s,
    }
    return session.execute(_BADLY, values).first()

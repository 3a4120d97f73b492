"""Steps to be sent: written in the commit that asks for them, sent by the relay, repeated until sent.

A repeat is harmless: steps are idempotent.
"""

from collections.abc import Callable
from typing import Any

import orjson
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from shared.db.listen import OUTBOX_CHANNEL
from shared.db.session import Executes, transaction
from shared.errors import Retryable
from shared.observability import metrics
from shared.observability.tracing import current_traceparent

_log = structlog.get_logger(__name__)
#: (step, id of the outbox row, args, traceparent); raises `Retryable` while the broker is away.
SendStep = Callable[[str, str, dict[str, Any], str | None], None]

_PUT = text(
    f"""
    WITH put AS (
        INSERT INTO outbox (step, args, traceparent, not_before)
        VALUES (:step, CAST(:args AS jsonb), :traceparent, now() + make_interval(secs => :delay_s)) RETURNING id
    ) SELECT pg_notify('{OUTBOX_CHANNEL}', id::text) FROM put
    """  # noqa: S608 - constant
)
#: Rings for the steps that `asked_for` has written, in the last select of the same statement.
RUNG = f"(SELECT count(pg_notify('{OUTBOX_CHANNEL}', id::text)) FROM asked)"  # noqa: S608 - constant
_TAKE = text(
    "SELECT id, step, args, traceparent, tries FROM outbox WHERE sent_at IS NULL AND not_before <= now() "
    "ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_SENT = text("UPDATE outbox SET sent_at = now() WHERE id = ANY(:ids)")
_FAILED = text(
    "UPDATE outbox SET tries = tries + 1, last_error = :error, "
    "not_before = now() + make_interval(secs => least(30, 0.5 * power(2, least(tries, 10)))) WHERE id = ANY(:ids)"
)
_GIVE_BACK = text(
    "UPDATE outbox SET tries = tries + 1, last_error = :error, "
    "sent_at = CASE WHEN created_at > now() - make_interval(secs => :retry_s) THEN NULL ELSE sent_at END, "
    "not_before = now() + make_interval(secs => least(3600, 60 * power(2, least(tries, 6)))) "
    "WHERE id = :id AND sent_at IS NOT NULL RETURNING sent_at IS NULL"
)


def give_back(session: Session, row_id: int, error: str, retry_s: float) -> bool:
    """A step failed for good where it was sent: it is sent again after a while. False: it is too old, it is given up.

    Its row keeps the last error.
    """
    values = {"id": row_id, "error": error[:500], "retry_s": retry_s}
    return bool(session.execute(_GIVE_BACK, values).scalar())


def put(
    session: Executes, step: str, args: dict[str, Any], *, traceparent: str | None = None, delay_s: float = 0.0
) -> None:
    """Ask for a step; it is sent after the commit, at the earliest `delay_s` later."""
    session.execute(
        _PUT,
        {
            "step": step,
            "args": orjson.dumps(args).decode(),
            "traceparent": traceparent or current_traceparent(),
            "delay_s": delay_s,
        },
    )


def asked_for(steps: str) -> str:
    """The CTE `asked` for a statement that asks for steps; they are a select of step, run_id, traceparent, delay_s."""
    return f"""asked AS (
        INSERT INTO outbox (step, args, traceparent, not_before)
        SELECT step, jsonb_build_object('run_id', run_id), traceparent, now() + make_interval(secs => delay_s)
        FROM ({steps}) AS steps RETURNING id
    )"""  # noqa: S608 - the caller's constants


def relay_once(engine: Engine, send: SendStep, *, limit: int = 100) -> int:
    """Send what is due. Returns how many; 0 means nothing was due. While the broker is away rows wait with backoff."""
    with transaction(engine) as session:
        rows = session.execute(_TAKE, {"limit": limit}).all()
        sent: list[int] = []
        for row in rows:
            try:
                send(row.step, f"outbox:{row.id}", row.args, row.traceparent)
            except Retryable as error:
                failed = [other.id for other in rows if other.id not in sent]
                session.execute(_FAILED, {"ids": failed, "error": str(error)[:500]})
                _log.warning("steps wait: the broker does not take them", waiting=len(failed), error=str(error))
                break
            sent.append(row.id)
            metrics.OUTBOX_SENT.labels(row.step).inc()
        session.execute(_SENT, {"ids": sent})
    return len(sent)

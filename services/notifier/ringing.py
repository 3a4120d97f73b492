"""Calls workers when deliveries are due: one bell for several of one channel, so that one that hangs holds one slot."""

from sqlalchemy import text

from shared.contracts.notifying import DELIVER
from shared.db.listen import OUTBOX_CHANNEL
from shared.db.session import Executes

#: webhooks that one worker sends side by side; what goes by other ways is sent one by one
SIDE_BY_SIDE = 16
#: that have been called and have not begun: the broker's queue stays short, and a bell is not old when it is heard
_MOST_CALLED = 1000
#: Due, and nobody was called, or whoever was called has not come for long.
_RING = text(
    f"""
    WITH called AS (
        SELECT count(*) AS deliveries FROM (
            SELECT 1 FROM deliveries
            WHERE due_at <= now() AND state = 'pending' AND rung_at >= now() - make_interval(secs => :lease_s)
            LIMIT :most) AS those
    ), due AS (
        SELECT id, channel_id FROM deliveries
        WHERE due_at <= now() AND (rung_at IS NULL OR rung_at < now() - make_interval(secs => :lease_s))
            AND (state = 'pending' OR state = 'sending' AND lease_expires_at <= now())
        ORDER BY due_at LIMIT (SELECT :most - deliveries FROM called) FOR UPDATE SKIP LOCKED
    ), rung AS (
        UPDATE deliveries d SET rung_at = now() FROM due WHERE d.id = due.id
        RETURNING d.id, d.channel_id, d.notice_id, d.due_at
    ), numbered AS (
        SELECT rung.id, rung.channel_id, n.traceparent, c.type,
            row_number() OVER (PARTITION BY rung.channel_id ORDER BY rung.due_at, rung.id) - 1 AS number
        FROM rung JOIN notices n ON n.id = rung.notice_id JOIN channels c ON c.id = rung.channel_id
    ), asked AS (
        INSERT INTO outbox (step, args, traceparent)
        SELECT :step, jsonb_build_object('delivery_ids', jsonb_agg(id)), min(traceparent)
        FROM numbered
        GROUP BY channel_id, number / CASE type WHEN 'webhook' THEN {SIDE_BY_SIDE} ELSE 1 END RETURNING id
    )
    SELECT count(pg_notify('{OUTBOX_CHANNEL}', id::text)) FROM asked
    """  # noqa: S608 - constants
)


def ring(session: Executes, lease_s: float) -> None:
    """Call workers for what is due, as far as they come."""
    session.execute(_RING, {"lease_s": lease_s, "most": _MOST_CALLED, "step": DELIVER})

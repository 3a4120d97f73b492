"""Makes digests: what was held for a subscription becomes one notice, in the commit that sets its next time."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import text
from uuid6 import uuid7

from services.notifier.zones import known_zone
from shared.contracts.notices import NOTICES
from shared.contracts.notifying import Digest, Every
from shared.db.session import Executes
from shared.notices.deliveries import told
from shared.notices.times import next_digest

_NAMESPACE = UUID("0b5d1d0e-65c1-4d1b-8f6a-0f7a7b9d6d11")
#: listed in one digest; all are counted
_MOST = 100
_DUE = text(
    "SELECT id, project_id, principal_id, channel_id, digest, timezone, next_digest_at FROM subscriptions "
    "WHERE next_digest_at <= now() AND digest IS NOT NULL AND channel_id IS NOT NULL "
    "ORDER BY next_digest_at LIMIT 20 FOR UPDATE SKIP LOCKED"
)
_TAKE = text(
    """
    WITH taken AS (
        UPDATE deliveries SET state = 'delivered', reason = 'in a digest', delivered_at = now()
        WHERE subscription_id = :id AND state = 'held' RETURNING notice_id
    )
    SELECT kind, at, CASE WHEN row_number() OVER (ORDER BY at DESC) <= :most THEN data END AS data
    FROM notices WHERE id IN (SELECT notice_id FROM taken) ORDER BY at DESC
    """
)
_NEXT = text("UPDATE subscriptions SET next_digest_at = :at WHERE id = :id")
_PUT = text(
    """
    WITH told AS (
        INSERT INTO notices (id, project_id, kind, version, data, spread_at)
        VALUES (:id, :project, 'digest', :version, CAST(:data AS jsonb), now())
        ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO deliveries (id, notice_id, channel_id, subscription_id, state)
    SELECT :delivery, id, :channel, :subscription, 'pending' FROM told
    """
)


def make_digests(session: Executes, now: datetime) -> int:
    """Make those that are due. Returns how many were looked at."""
    due = session.execute(_DUE).all()
    for row in due:
        digest = Digest.stored(row.digest)
        held = session.execute(_TAKE, {"id": row.id, "most": _MOST}).all()
        if held:
            session.execute(_PUT, _digest(row, digest.every, held))
        following = next_digest(digest.every, digest.at, digest.weekday, known_zone(row.timezone), now)
        session.execute(_NEXT, {"id": row.id, "at": following})
    return len(due)


def _digest(row: Any, every: Every, held: list[Any]) -> dict[str, Any]:
    data = {
        "subscription_id": str(row.id),
        "every": every,
        "count": len(held),
        "counts": dict(Counter(one.kind for one in held).most_common()),
        "notices": [told(one.kind, one.at, one.data) for one in held[:_MOST]],
    }
    return {
        "id": uuid5(_NAMESPACE, f"{row.id} {row.next_digest_at.astimezone(UTC).isoformat()}"),
        "delivery": uuid7(),
        "project": row.project_id,
        "version": NOTICES["digest"].version,
        "data": orjson.dumps(data).decode(),
        "channel": row.channel_id,
        "subscription": row.id,
    }

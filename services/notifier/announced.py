"""Spreads what was announced: rows of notices whose readers have not been found yet."""

from datetime import datetime
from typing import Any

from sqlalchemy import text

from services.notifier.recognise import Found
from services.notifier.spread import add_to_inbox, spread
from shared.contracts.notices import NOTICES
from shared.db.session import Executes

_TAKE = text(
    "SELECT id, project_id, principal_id, kind, data, at FROM notices WHERE spread_at IS NULL "
    "AND kind = ANY(:known) ORDER BY at LIMIT 100 FOR UPDATE SKIP LOCKED"
)
_SPREAD = text("UPDATE notices SET spread_at = now() WHERE id = ANY(CAST(:ids AS uuid[]))")


def spread_announced(session: Executes, now: datetime) -> int:
    """Returns how many were told."""
    rows = session.execute(_TAKE, {"known": list(NOTICES)}).all()  # a newer release may announce more
    if not rows:
        return 0
    alone = [row for row in rows if row.principal_id is not None]
    add_to_inbox(session, [_place(row) for row in alone])
    told = spread(session, [_found(row) for row in rows if row.principal_id is None], now)
    session.execute(_SPREAD, {"ids": [row.id for row in rows]})
    return told + len(alone)


def _place(row: Any) -> dict[str, Any]:
    return {"project_id": row.project_id, "principal_id": row.principal_id, "notice_id": row.id}


def _found(row: Any) -> Found:
    return Found(kind=row.kind, about="", at=row.at, data=row.data, project_id=row.project_id, notice_id=row.id)

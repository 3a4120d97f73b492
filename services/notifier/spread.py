"""Writes notices, and for each whom it concerns a delivery or a place in the inbox, in one commit with the place."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from sqlalchemy import text
from uuid6 import uuid7

from services.notifier.matching import Told, matched
from services.notifier.recognise import Found, recognised
from shared.contracts.notices import NOTICES
from shared.db.listen import INBOX_CHANNEL
from shared.db.session import Executes
from shared.observability import metrics

_log = structlog.get_logger(__name__)
_WANTED = text("SELECT DISTINCT unnest(kinds) AS kind FROM subscriptions WHERE enabled")
#: Whoever lost the membership is told nothing more.
_SUBSCRIPTIONS = text(
    """
    SELECT s.* FROM subscriptions s JOIN memberships m USING (project_id, principal_id)
    JOIN principals p ON p.id = s.principal_id AND p.disabled_at IS NULL
    JOIN projects ON projects.id = s.project_id AND projects.deleted_at IS NULL
    WHERE s.enabled AND s.kinds && CAST(:kinds AS text[]) AND (s.muted_until IS NULL OR s.muted_until <= now())
        AND (:everywhere OR s.project_id = ANY(CAST(:projects AS uuid[])))
    """
)
_NOTICES = text(
    """
    INSERT INTO notices (id, project_id, kind, version, data, run_id, traceparent, at, spread_at)
    SELECT id, project_id, kind, version, data, run_id, traceparent, at, now()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(id uuid, project_id uuid, kind text, version integer,
        data jsonb, run_id uuid, traceparent text, at timestamptz)
    ON CONFLICT (id) DO NOTHING
    """
)
_DELIVERIES = text(
    """
    INSERT INTO deliveries (id, notice_id, channel_id, subscription_id, escalates, state, due_at, reason)
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(id uuid, notice_id uuid, channel_id uuid,
        subscription_id uuid, escalates boolean, state text, due_at timestamptz, reason text)
    ON CONFLICT (notice_id, channel_id, subscription_id) DO NOTHING
    """
)
_INBOX = text(
    f"""
    WITH made AS (
        INSERT INTO inbox (project_id, principal_id, notice_id)
        SELECT project_id, principal_id, notice_id
        FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(project_id uuid, principal_id uuid, notice_id uuid)
        ON CONFLICT (principal_id, notice_id, project_id) DO NOTHING RETURNING principal_id
    )
    SELECT count(pg_notify('{INBOX_CHANNEL}', principal_id::text)) FROM (SELECT DISTINCT principal_id FROM made) AS who
    """  # noqa: S608 - constants
)


def wanted_kinds(session: Executes) -> frozenset[str]:
    """What anybody has subscribed to."""
    return frozenset(row.kind for row in session.execute(_WANTED).all())


def understood(events: Iterable[Any]) -> list[Found]:
    """The notices of these events. One that makes no sense is logged and passed over, for it must not stop the rest."""
    found: list[Found] = []
    for event in events:
        try:
            some = list(recognised(event))
            for one in some:
                NOTICES[one.kind].payload.model_validate(one.data | {"milestone": one.reached})
        except (ValidationError, LookupError, TypeError, ValueError, AttributeError):
            metrics.NOTICES_NOT_UNDERSTOOD.inc()
            _log.exception("an event makes no notice", run_id=str(event.run_id), seq=event.seq, type=event.type)
        else:
            found += some
    return found


def spread(session: Executes, found: Sequence[Found], now: datetime) -> int:
    """Tell these to whom they concern. Returns how many deliveries and places in inboxes were asked for; what was told
    before is not told again."""
    if not found:
        return 0
    values = {
        "kinds": sorted({one.kind for one in found}),
        "projects": list({one.project_id for one in found if one.project_id is not None}),
        "everywhere": any(one.project_id is None for one in found),
    }
    told = list(matched(found, session.execute(_SUBSCRIPTIONS, values).all(), now))
    if told:
        write(session, told)
    return len(told)


def write(session: Executes, told: Sequence[Told]) -> None:
    """Write notices, then deliveries and places in inboxes."""
    notices = {one.notice_id: _notice_row(one) for one in told}
    session.execute(_NOTICES, {"rows": _json(list(notices.values()))})
    deliveries = [_delivery_row(one) for one in told if one.channel_id is not None]
    if deliveries:
        session.execute(_DELIVERIES, {"rows": _json(deliveries)})
    add_to_inbox(session, [_inbox_row(one) for one in told if one.channel_id is None])
    for one in told:
        metrics.NOTICES.labels(one.found.kind).inc()


def add_to_inbox(session: Executes, places: list[dict[str, Any]]) -> None:
    """Add places (project_id, principal_id, notice_id) and ring for who reads."""
    if places:
        session.execute(_INBOX, {"rows": _json(places)})


def _notice_row(one: Told) -> dict[str, Any]:
    found, kind = one.found, NOTICES[one.found.kind]
    data = found.data if one.milestone is None else found.data | {"milestone": one.milestone}
    return {
        "id": one.notice_id,
        "project_id": found.project_id,
        "kind": kind.name,
        "version": kind.version,
        "data": data,
        "run_id": found.run_id,
        "traceparent": found.traceparent,
        "at": found.at,
    }


def _delivery_row(one: Told) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "notice_id": one.notice_id,
        "channel_id": one.channel_id,
        "subscription_id": one.subscription_id,
        "escalates": one.escalates,
        "state": one.state,
        "due_at": one.due_at,
        "reason": one.reason,
    }


def _inbox_row(one: Told) -> dict[str, Any]:
    return {"project_id": one.project_id, "principal_id": one.principal_id, "notice_id": one.notice_id}


def _json(rows: list[dict[str, Any]]) -> str:
    return orjson.dumps(rows, default=str).decode()  # ids of version 7 are of a class that it does not know

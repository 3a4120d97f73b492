"""Notices, places in inboxes and deliveries for the tests of their routes, as rows."""

from typing import Any
from uuid import UUID

import orjson
from uuid6 import uuid7

from shared.contracts.notices import NOTICES
from tests.api.people import change
from tests.support.platform import Platform


def tell(platform: Platform, kind: str = "run.failed", *, run: UUID | None = None, **more: Any) -> UUID:
    """Write a notice of the project with the data of its example; its id."""
    values = {"id": uuid7(), "project": platform.caller.project_id, "principal": None} | more
    change(
        platform,
        "INSERT INTO notices (id, project_id, principal_id, kind, version, data, run_id, spread_at) "
        "VALUES (:id, :project, :principal, :kind, 1, CAST(:data AS jsonb), :run, now())",
        kind=kind,
        data=orjson.dumps(NOTICES[kind].example).decode(),
        run=run,
        **values,
    )
    return UUID(str(values["id"]))


def put(platform: Platform, notice: UUID, reader: UUID | None = None) -> int:
    """Put a notice into an inbox, and ring; the id of its place."""
    owner = platform.caller
    change(
        platform,
        "WITH made AS (INSERT INTO inbox (project_id, principal_id, notice_id) VALUES (:project, :reader, :notice) "
        "RETURNING principal_id) SELECT pg_notify('faultline_inbox', principal_id::text) FROM made",
        project=owner.project_id,
        reader=reader or owner.principal_id,
        notice=notice,
    )
    rows = platform.rows("SELECT max(id) AS id FROM inbox WHERE notice_id = :notice", notice=notice)
    return int(rows[0]["id"])


def deliver(platform: Platform, channel: str, notice: UUID, state: str = "dead") -> UUID:
    """Write what became of the delivery of a notice to a channel; its id."""
    delivery = uuid7()
    change(
        platform,
        "INSERT INTO deliveries (id, notice_id, channel_id, state, attempts, give_up_at, reason, rung_at) "
        "VALUES (:id, :notice, :channel, :state, 2, now(), 'given up', now() - interval '1 hour')",
        id=delivery,
        notice=notice,
        channel=channel,
        state=state,
    )
    for attempt in (1, 2):
        change(
            platform,
            "INSERT INTO delivery_attempts (delivery_id, attempt, ok, status, latency_ms, error, excerpt) "
            "VALUES (:id, :attempt, false, 500, 12.5, 'HTTP 500', 'oops')",
            id=delivery,
            attempt=attempt,
        )
    return delivery

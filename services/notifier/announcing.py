"""Notices that no event of a run tells: written as rows that the follower spreads."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from uuid6 import uuid7

from shared.contracts.notices import NOTICES
from shared.db.session import Executes

_ANNOUNCE = text(
    "INSERT INTO notices (id, project_id, principal_id, kind, version, data) "
    "VALUES (:id, :project, :principal, :kind, :version, CAST(:data AS jsonb)) ON CONFLICT DO NOTHING"
)


def announce(
    session: Executes,
    kind: str,
    data: dict[str, Any],
    *,
    project_id: UUID | None = None,
    principal_id: UUID | None = None,
    notice_id: UUID | None = None,
) -> None:
    """Tell a project, or all; or one principal alone. `notice_id`: where it must be told once."""
    values = {
        "id": notice_id or uuid7(),
        "project": project_id,
        "principal": principal_id,
        "kind": kind,
        "version": NOTICES[kind].version,
        "data": orjson.dumps(NOTICES[kind].payload.model_validate(data).model_dump(mode="json")).decode(),
    }
    session.execute(_ANNOUNCE, values)


def announce_disabled(session: Executes, row: Any, failures: int, error: str) -> None:
    """Tell who made a channel that it was switched off."""
    data = {"channel_id": row.channel_id, "channel": row.channel, "failures": failures, "last_error": error[:500]}
    announce(session, "channel.disabled", data, project_id=row.project_id, principal_id=row.created_by)

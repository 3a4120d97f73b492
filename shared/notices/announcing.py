"""Notices that no event of a run tells: rows, for which the notifier finds out whom they concern."""

from uuid import UUID

from sqlalchemy import text
from uuid6 import uuid7

from shared.contracts.base import View
from shared.contracts.notices import NOTICES
from shared.db.session import Executes

_ANNOUNCE = text(
    "INSERT INTO notices (id, project_id, principal_id, kind, version, data, spread_at) VALUES (:id, :project, "
    ":principal, :kind, :version, CAST(:data AS jsonb), CASE WHEN :spread THEN now() END) ON CONFLICT DO NOTHING"
)


def announce(
    session: Executes,
    kind: str,
    data: View,
    *,
    project_id: UUID | None = None,
    principal_id: UUID | None = None,
    notice_id: UUID | None = None,
    spread: bool = False,
) -> UUID:
    """Tell a project, or all, or one principal alone; the id of the notice. `notice_id`: where it must be told once.
    `spread`: who is told is known already."""
    made = notice_id or uuid7()
    values = {
        "id": made,
        "project": project_id,
        "principal": principal_id,
        "kind": kind,
        "version": NOTICES[kind].version,
        "data": data.model_dump_json(),
        "spread": spread,
    }
    session.execute(_ANNOUNCE, values)
    return made

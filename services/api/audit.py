"""One row for each mutation, in the transaction that makes it: who asked for what."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from services.api.access.identity import Identity
from shared.db.session import Executes
from shared.observability.tracing import current_traceparent

_PUT = text(
    """
    INSERT INTO audit_log (project_id, principal_id, key_prefix, action, target, data, traceparent)
    VALUES (:project, :principal, :prefix, :action, :target, CAST(:data AS jsonb), :traceparent)
    """
)


def audit(
    session: Executes, identity: Identity, action: str, target: object, project_id: UUID | None = None, **data: Any
) -> None:
    """Write down that `identity` did `action` (`run.cancel`) to `target` (an id or a name). Never hand over a secret.

    `project_id`: whose admins are to see it; by default the caller's.
    """
    session.execute(
        _PUT,
        {
            "project": project_id or identity.project_id,
            "principal": identity.principal_id,
            "prefix": identity.key_prefix,
            "action": action,
            "target": str(target),
            "data": orjson.dumps(data, default=str).decode(),
            "traceparent": current_traceparent(),
        },
    )

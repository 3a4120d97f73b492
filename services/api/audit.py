"""One row for each mutation, in the transaction that makes it: who asked for what."""

from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.api.deps import Identity
from shared.observability.tracing import current_traceparent

_PUT = text(
    """
    INSERT INTO audit_log (project_id, principal_id, key_prefix, action, target, data, traceparent)
    VALUES (:project, :principal, :prefix, :action, :target, CAST(:data AS jsonb), :traceparent)
    """
)


def audit(session: Session, identity: Identity, action: str, target: object, **data: Any) -> None:
    """Write down that `identity` did `action` (`run.cancel`) to `target` (an id or a name)."""
    session.execute(
        _PUT,
        {
            "project": identity.project_id,
            "principal": identity.principal_id,
            "prefix": identity.key_prefix,
            "action": action,
            "target": str(target),
            "data": orjson.dumps(data, default=str).decode(),
            "traceparent": current_traceparent(),
        },
    )

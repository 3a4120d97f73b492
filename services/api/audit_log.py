"""Reading the audit log of the project."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from services.api.deps import AdminDep, Limit, SessionDep
from services.api.refs import named
from shared.contracts.access import AuditView
from shared.contracts.instants import Instant
from shared.contracts.views import Page
from shared.db.tenancy import AuditEntry, Principal

router = APIRouter(prefix="/v1/audit", tags=["access"])


@router.get("")
def list_audit(
    session: SessionDep,
    identity: AdminDep,
    action: Annotated[str | None, Query(max_length=60, description="`run.cancel`, or a group: `run.`")] = None,
    principal: Annotated[str | None, Query(max_length=120, description="Name or id.")] = None,
    since: Annotated[Instant | None, Query(description="Not before this time.")] = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 50,
) -> Page[AuditView]:
    """Who asked for what in the project, newest first."""
    query = select(AuditEntry, Principal.name).outerjoin(Principal, Principal.id == AuditEntry.principal_id)
    query = query.where(AuditEntry.project_id == identity.project_id).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if action is not None:
        group = action.endswith(".")
        query = query.where(
            AuditEntry.action.startswith(action, autoescape=True) if group else AuditEntry.action == action
        )
    if principal is not None:
        query = query.where(named(Principal, principal))
    if since is not None:
        query = query.where(AuditEntry.at >= since)
    if cursor is not None:
        query = query.where(AuditEntry.id < cursor)
    rows = session.execute(query).all()
    items = [
        AuditView(
            id=entry.id,
            at=entry.at,
            principal=name,
            key_prefix=entry.key_prefix,
            action=entry.action,
            target=entry.target,
            data=entry.data,
            traceparent=entry.traceparent,
        )
        for entry, name in rows[:limit]
    ]
    return Page(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)

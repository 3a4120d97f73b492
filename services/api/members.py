"""Members: who may do what in the project."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import AdminDep, After, Limit, SessionDep, ViewerDep
from services.api.principals import find_principal
from shared.contracts.access import MemberRequest, MemberView
from shared.contracts.roles import Role
from shared.contracts.views import Page
from shared.db.tenancy import ApiKey, Membership, Principal, Project
from shared.errors import Conflict, Forbidden, NotFound

router = APIRouter(prefix="/v1/members", tags=["access"])
_MEMBERS = select(Membership, Principal).join(Principal, Principal.id == Membership.principal_id)


def role_of(session: Session, project_id: UUID, principal: Principal) -> Role:
    """What the principal is in the project. Raises `NotFound` if it is no member."""
    membership = session.get(Membership, (project_id, principal.id))
    if membership is None:
        raise NotFound(
            f"{principal.name} is no member of this project.", remedy="An admin makes members: PUT /v1/members/{name}."
        )
    return Role(membership.role)


def _view(row: Row[Membership, Principal]) -> MemberView:
    membership, principal = row
    return MemberView(
        principal_id=principal.id,
        principal=principal.name,
        kind=principal.kind,
        role=Role(membership.role),
        created_at=membership.created_at,
        disabled=principal.disabled_at is not None,
    )


@router.get("")
def list_members(
    session: SessionDep,
    identity: ViewerDep,
    cursor: After = None,
    limit: Limit = 50,
    role: Annotated[Role | None, Query()] = None,
) -> Page[MemberView]:
    """The members of the project, newest principals first."""
    query = _MEMBERS.where(Membership.project_id == identity.project_id).order_by(Principal.id.desc()).limit(limit + 1)
    if role is not None:
        query = query.where(Membership.role == role)
    rows = session.execute(query.where(Principal.id < cursor) if cursor else query).all()
    next_cursor = str(rows[limit - 1][1].id) if len(rows) > limit else None
    return Page(items=[_view(row) for row in rows[:limit]], next_cursor=next_cursor)


def _lock(session: Session, project_id: UUID) -> None:
    """One change of members at a time, so that two owners cannot both remove the other."""
    session.execute(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True))


def may_touch(identity: Identity, *roles: Role | None) -> None:
    """Owners are made, changed and removed by owners only. Raises `Forbidden`."""
    if Role.OWNER in roles and identity.role != Role.OWNER:
        raise Forbidden("Only an owner may make, change or remove an owner.", remedy="Ask an owner of the project.")


def _owner_left(session: Session, project_id: UUID) -> None:
    """Raises `Conflict` if the project would be without an owner who can act."""
    owners = _MEMBERS.where(
        Membership.project_id == project_id, Membership.role == Role.OWNER, Principal.disabled_at.is_(None)
    )
    if not session.scalar(select(func.count()).select_from(owners.with_only_columns(Principal.id).subquery())):
        raise Conflict("This is the last owner of the project.", remedy="Make another member an owner first.")


@router.put("/{principal}")
def set_member(principal: str, body: MemberRequest, session: SessionDep, identity: AdminDep) -> MemberView:
    """Make a principal a member, or change what it may do."""
    _lock(session, identity.project_id)
    who = find_principal(session, principal)
    place = (identity.project_id, who.id)
    before = session.get(Membership, place)
    may_touch(identity, body.role, Role(before.role) if before else None)
    values = {"project_id": identity.project_id, "principal_id": who.id, "role": body.role}
    session.execute(
        insert(Membership)
        .values(values)
        .on_conflict_do_update(index_elements=["project_id", "principal_id"], set_={"role": body.role})
    )
    if before is not None and before.role == Role.OWNER:
        _owner_left(session, identity.project_id)
    was = before.role if before else None
    session.expire_all()
    audit(session, identity, "member.set", who.name, role=body.role, before=was)
    return _view(session.execute(_MEMBERS.where(Membership.project_id == place[0], Principal.id == place[1])).one())


@router.delete("/{principal}", status_code=204)
def remove_member(principal: str, session: SessionDep, identity: AdminDep) -> None:
    """End a membership; the member's keys of this project are revoked and do not come back with it."""
    _lock(session, identity.project_id)
    who = find_principal(session, principal)
    role = role_of(session, identity.project_id, who)
    may_touch(identity, role)
    session.execute(
        update(ApiKey)
        .where(ApiKey.project_id == identity.project_id, ApiKey.principal_id == who.id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    session.execute(
        delete(Membership).where(Membership.project_id == identity.project_id, Membership.principal_id == who.id)
    )
    if role == Role.OWNER:
        _owner_left(session, identity.project_id)
    audit(session, identity, "member.remove", who.name, role=role)

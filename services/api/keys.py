"""API keys: shown once, kept as a hash, good until they expire or are revoked."""

import secrets
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import Row, Select, func, select, text
from sqlalchemy.orm import Session, aliased
from uuid6 import uuid7

from services.api.access.identity import Identity, hash_key
from services.api.audit import audit
from services.api.deps import After, Limit, MemberDep, SessionDep, ViewerDep
from services.api.idempotent import OnceDep
from services.api.members import may_touch, role_of
from services.api.principals import find_principal
from services.api.views import page_of
from shared.contracts.access import KeyRequest, KeyView, NewKeyView
from shared.contracts.roles import Role, Scope
from shared.contracts.views import Page
from shared.db.tenancy import ApiKey, Membership, Principal
from shared.errors import Conflict, Forbidden, NotFound

router = APIRouter(prefix="/v1/keys", tags=["access"])
_SHOWN = 10  #: of 46 characters; the rest keeps 208 random bits
_MOST = 100  #: keys that one member may hold in one project at a time
_Maker = aliased(Principal)


def make_key(
    session: Session,
    principal_id: UUID,
    project_id: UUID,
    name: str,
    created_by: UUID,
    scopes: list[Scope] | None = None,
    expires_at: datetime | None = None,
) -> tuple[UUID, str]:
    """Id and text of a new key, of which the row keeps the hash only. Raises `Conflict` if the holder has too many."""
    lock = {"holder": f"{project_id}:{principal_id}"}
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:holder, 1))"), lock)
    held = session.scalar(
        select(func.count())
        .select_from(ApiKey)
        .where(ApiKey.principal_id == principal_id, ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None))
        .where(ApiKey.expires_at.is_(None) | (ApiKey.expires_at > func.now()))
    )
    if (held or 0) >= _MOST:
        raise Conflict(f"Nobody may hold more than {_MOST} keys in a project.", remedy="Revoke those not in use.")
    key = _secret()
    row = ApiKey(
        id=uuid7(),
        principal_id=principal_id,
        project_id=project_id,
        name=name,
        prefix=key[:_SHOWN],
        sha256=hash_key(key),
        scopes=None if scopes is None else sorted(scopes),
        created_by=created_by,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row.id, key


def _secret() -> str:
    return f"fl_{secrets.token_urlsafe(32)}"


def made_again(session: Session, identity: Identity, before: KeyView) -> NewKeyView:
    """The answer to a repeat of a request that made a key. The key was kept nowhere, so who has missed the first answer
    is shown another in its place. Raises `Conflict` once somebody has used the first, and so has not missed it.
    """
    row = session.get_one(ApiKey, before.id, with_for_update=True)
    if row.last_used_at is not None or row.revoked_at is not None:
        raise Conflict(
            f"This request has made the key {row.prefix}…, which is used or revoked by now and not shown again.",
            remedy="Use that key; or make another one under another Idempotency-Key, and revoke that one.",
        )
    key = _secret()
    row.prefix, row.sha256 = key[:_SHOWN], hash_key(key)
    session.flush()
    audit(session, identity, "key.renew", row.id, row.project_id, name=row.name, prefix=row.prefix)
    return new_key_view(session, row.project_id, row.id, key)


def _keys(project_id: UUID) -> Select[ApiKey, str, str]:
    return (
        select(ApiKey, Principal.name, _Maker.name)
        .join(Principal, Principal.id == ApiKey.principal_id)
        .outerjoin(_Maker, _Maker.id == ApiKey.created_by)
        .where(ApiKey.project_id == project_id)
    )


def _view(row: Row[ApiKey, str, str]) -> KeyView:
    key, holder, maker = row
    return KeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        principal=holder,
        scopes=key.scopes,
        created_at=key.created_at,
        created_by=maker,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


def new_key_view(session: Session, project_id: UUID, key_id: UUID, key: str) -> NewKeyView:
    """A key that was just made, with the key."""
    view = _view(session.execute(_keys(project_id).where(ApiKey.id == key_id)).one())
    return NewKeyView(**view.model_dump(), key=key)


@router.get("")
def list_keys(session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50) -> Page[KeyView]:
    """The caller's keys in the project; to an admin all of the project's. Newest first, revoked ones too."""
    query = _keys(identity.project_id).order_by(ApiKey.id.desc()).limit(limit + 1)
    if not identity.role.covers(Role.ADMIN):
        query = query.where(ApiKey.principal_id == identity.principal_id)
    rows = session.execute(query.where(ApiKey.id < cursor) if cursor else query).all()
    return page_of([row[0] for row in rows], [_view(row) for row in rows], limit)


def _granted(identity: Identity, body: KeyRequest) -> tuple[list[Scope] | None, datetime | None]:
    """Scopes and expiry of the new key: never more than the key that asks. Raises `Forbidden`."""
    scopes, expires_at = body.scopes, body.expires_at
    if identity.scopes is not None:
        scopes = sorted(identity.scopes) if scopes is None else scopes
        if beyond := [scope for scope in scopes if not identity.in_scope(scope)]:
            raise Forbidden(
                f"A key cannot grant what it has not: {', '.join(beyond)}.", remedy="Ask with a key that has it."
            )
    if identity.key_expires_at is not None:
        expires_at = identity.key_expires_at if expires_at is None else expires_at
        if expires_at > identity.key_expires_at:
            raise Forbidden(
                f"A key cannot make one that lives longer than itself ({identity.key_expires_at:%Y-%m-%d %H:%M} UTC).",
                remedy="Name an earlier expires_at, or ask with a key that lives longer.",
            )
    return scopes, expires_at


def _holder(session: Session, identity: Identity, ref: str | None) -> Principal:
    """Whose key it is to be. Raises `Forbidden` where the caller would gain by it, `NotFound` for no member."""
    if ref is None or ref in {identity.principal, str(identity.principal_id)}:
        return session.get_one(Principal, identity.principal_id)
    if not identity.role.covers(Role.ADMIN):
        raise Forbidden("Only an admin of the project may make keys for others.")
    holder = find_principal(session, ref)
    if not identity.role.covers(role_of(session, identity.project_id, holder)):
        raise Forbidden(f"{holder.name} may do more than you.", remedy="They make their keys themselves.")
    if holder.operator and not identity.operator:
        raise Forbidden(f"{holder.name} is an operator.", remedy="Operators make their keys themselves.")
    return holder


@router.post("", status_code=201)
def create_key(body: KeyRequest, session: SessionDep, identity: MemberDep, once: OnceDep) -> NewKeyView:
    """Make a key for oneself, or as an admin for another member. It is shown in this answer and never again.

    As long as nobody has used it, a repeat under the same `Idempotency-Key` shows another secret, which takes its
    place; after that 409.
    """
    holder = _holder(session, identity, body.principal)
    scopes, expires_at = _granted(identity, body)
    before = once.before(session, identity, KeyView, holder.id, body.name, scopes, expires_at)
    if before is not None:
        return made_again(session, identity, before)
    key_id, key = make_key(
        session, holder.id, identity.project_id, body.name, identity.principal_id, scopes, expires_at
    )
    view = new_key_view(session, identity.project_id, key_id, key)
    told = view.model_dump(mode="json", include={"name", "prefix", "scopes", "expires_at"})
    audit(session, identity, "key.create", key_id, holder=holder.name, **told)
    once.keep(session, identity, KeyView(**view.model_dump(exclude={"key"})))
    return view


@router.delete("/{key_id}")
def revoke_key(key_id: UUID, session: SessionDep, identity: MemberDep) -> KeyView:
    """Revoke one's own key, or as an admin a member's: the next request with it is refused, open streams end."""
    query = _keys(identity.project_id).where(ApiKey.id == key_id)
    if not identity.role.covers(Role.ADMIN):
        query = query.where(ApiKey.principal_id == identity.principal_id)
    row = session.execute(query.with_for_update(of=ApiKey)).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id} in this project.", remedy="GET /v1/keys shows the keys.")
    key = row[0]
    membership = session.get(Membership, (key.project_id, key.principal_id))
    if key.principal_id != identity.principal_id and membership is not None:
        may_touch(identity, Role(membership.role))
    if key.revoked_at is None:
        key.revoked_at = session.scalar(select(func.now()))
        audit(session, identity, "key.revoke", key_id, name=key.name, prefix=key.prefix, holder=row[1])
    return _view(row)

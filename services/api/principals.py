"""Principals: the users and services of the platform, across projects. For its operators."""

from datetime import UTC, datetime

from fastapi import APIRouter
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, Limit, OperatorDep, SessionDep
from services.api.idempotent import OnceDep
from services.api.refs import named
from services.api.views import page_of
from shared.contracts.access import PrincipalChange, PrincipalRequest, PrincipalView
from shared.contracts.views import Page
from shared.db.tenancy import ApiKey, Principal
from shared.errors import Conflict, NotFound

router = APIRouter(prefix="/v1/principals", tags=["access"])


def find_principal(session: Session, ref: str, *, lock: bool = False) -> Principal:
    """The principal of that id or name. Raises `NotFound`."""
    query = select(Principal).where(named(Principal, ref))
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no principal {ref[:80]!r}.", remedy="Check the name; an operator makes principals.")
    return found


def _view(row: Principal) -> PrincipalView:
    return PrincipalView(
        id=row.id,
        kind=row.kind,
        name=row.name,
        operator=row.operator,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


@router.get("")
def list_principals(
    session: SessionDep, _identity: OperatorDep, cursor: After = None, limit: Limit = 50
) -> Page[PrincipalView]:
    """Newest first."""
    query = select(Principal).order_by(Principal.id.desc()).limit(limit + 1)
    rows = session.scalars(query.where(Principal.id < cursor) if cursor else query).all()
    return page_of(rows, [_view(row) for row in rows], limit)


@router.post("", status_code=201)
def create_principal(
    body: PrincipalRequest, session: SessionDep, identity: OperatorDep, once: OnceDep
) -> PrincipalView:
    """Make a user or a service; it may do nothing before it is a member of a project and has a key."""
    return once(session, identity, PrincipalView, body, make=lambda: _make(session, identity, body))


def _make(session: Session, identity: Identity, body: PrincipalRequest) -> PrincipalView:
    values = {"id": uuid7(), "kind": body.kind, "name": body.name}
    made = session.scalars(insert(Principal).values(values).on_conflict_do_nothing().returning(Principal)).one_or_none()
    if made is None:
        raise Conflict(f"There is a principal named {body.name!r} already.", remedy="Choose another name.")
    audit(session, identity, "principal.create", body.name, kind=body.kind)
    return _view(made)


@router.get("/{principal}")
def show_principal(principal: str, session: SessionDep, _identity: OperatorDep) -> PrincipalView:
    """One user or service, by id or name."""
    return _view(find_principal(session, principal))


def _forget_keys_made_by_others(session: Session, row: Principal) -> None:
    """Who made a key for somebody may have kept it, and must not become an operator with them."""
    made_by_others = ApiKey.created_by.is_not(None) & (ApiKey.created_by != row.id)
    revoke = update(ApiKey).where(ApiKey.principal_id == row.id, ApiKey.revoked_at.is_(None), made_by_others)
    session.execute(revoke.values(revoked_at=func.now()))


@router.patch("/{principal}")
def change_principal(
    principal: str, body: PrincipalChange, session: SessionDep, identity: OperatorDep
) -> PrincipalView:
    """Disable a principal, which stops all its keys at once, or let it in again; make it an operator, or no more.

    The keys that others made for it are revoked when it becomes an operator or ceases to be one.
    """
    operators = select(Principal).where(Principal.operator, Principal.disabled_at.is_(None)).order_by(Principal.id)
    before = session.scalars(operators.with_for_update()).all()  # two who dismiss each other must not both succeed
    row = find_principal(session, principal, lock=True)
    if body.disabled is not None:
        row.disabled_at = (row.disabled_at or datetime.now(UTC)) if body.disabled else None
    if body.operator is not None and body.operator != row.operator:
        row.operator = body.operator
        _forget_keys_made_by_others(session, row)
    session.flush()
    left = session.scalar(select(func.count()).select_from(operators.order_by(None).subquery()))
    if before and not left:
        raise Conflict(f"{row.name} is the last operator.", remedy="Make another principal an operator first.")
    audit(session, identity, "principal.change", row.name, **body.model_dump(exclude_none=True))
    return _view(row)

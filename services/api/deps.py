"""What a route is given: the process's parts, one transaction per request, and who is calling."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.api.hub import EventHub
from shared.artifacts import ArtifactStore
from shared.contracts.roles import Role
from shared.db.session import transaction
from shared.errors import Forbidden, Unauthorized
from shared.runs.submit import Caller
from shared.settings import Settings


@dataclass(frozen=True)
class Parts:
    """Process-wide parts, made by `build`."""

    settings: Settings
    engine: Engine
    store: ArtifactStore
    hub: EventHub
    after_submit: Callable[[], None]  #: eager mode runs what was queued; otherwise nothing


def parts_of(request: Request) -> Parts:
    """The parts of this process."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


@dataclass(frozen=True)
class Identity(Caller):
    """The caller, with names to show and what it may do."""

    principal: str
    project: str
    key_prefix: str
    role: Role
    operator: bool


_FIND = text(
    """
    SELECT k.id, k.prefix, k.principal_id, k.project_id, p.name AS principal, j.name AS project, m.role, p.operator,
        (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute') AS stale
    FROM api_keys k JOIN principals p ON p.id = k.principal_id JOIN projects j ON j.id = k.project_id
        JOIN memberships m ON m.principal_id = k.principal_id AND m.project_id = k.project_id
    WHERE p.disabled_at IS NULL AND j.deleted_at IS NULL
        AND k.sha256 = :sha256 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    """
)
_USED = text("UPDATE api_keys SET last_used_at = now() WHERE id = :id")


def hash_key(key: str) -> str:
    """Keys are 256 random bits, so a plain hash is enough; a slow one would only slow every request."""
    return hashlib.sha256(key.encode()).hexdigest()


def authenticate(parts: PartsDep, authorization: Annotated[str | None, Header()] = None) -> Identity:
    """Who holds the key. Raises `Unauthorized`."""
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthorized
    with transaction(parts.engine) as session:
        row = session.execute(_FIND, {"sha256": hash_key(key.strip())}).one_or_none()
        if row is None:
            raise Unauthorized
        if row.stale:
            session.execute(_USED, {"id": row.id})
    role = Role(row.role)
    return Identity(row.principal_id, row.project_id, row.principal, row.project, row.prefix, role, row.operator)


def _at_least(role: Role) -> Callable[[Identity], Identity]:
    def check(identity: Annotated[Identity, Depends(authenticate)]) -> Identity:
        if not identity.role.covers(role):
            raise Forbidden(f"This needs the role {role}; {identity.principal} is {identity.role} of this project.")
        return identity

    return check


def _operator(identity: Annotated[Identity, Depends(authenticate)]) -> Identity:
    if not identity.operator:
        raise Forbidden("This concerns all projects and needs an operator of the platform.")
    return identity


#: what a route asks of its caller: to read, to make and change, to manage people and keys, to dispose of the project
ViewerDep = Annotated[Identity, Depends(_at_least(Role.VIEWER))]
EditorDep = Annotated[Identity, Depends(_at_least(Role.EDITOR))]
AdminDep = Annotated[Identity, Depends(_at_least(Role.ADMIN))]
OwnerDep = Annotated[Identity, Depends(_at_least(Role.OWNER))]
OperatorDep = Annotated[Identity, Depends(_operator)]


def one_transaction(parts: PartsDep) -> Iterator[Session]:
    """Committed when the route returns, before the answer is sent; rolled back on an error."""
    with transaction(parts.engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(one_transaction, scope="function")]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[UUID | None, Query(alias="cursor")]

"""Who is calling and what they may do, read from rows at every request: what is revoked ends with the next one."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.roles import Role, Scope
from shared.db.session import Executes
from shared.runs.submit import Caller


@dataclass(frozen=True)
class Identity(Caller):
    """The caller: a principal in a project, by one of its keys."""

    principal: str
    project: str
    role: Role
    operator: bool
    key_id: UUID
    key_prefix: str
    key_expires_at: datetime | None
    scopes: frozenset[Scope] | None  #: None: all that the role allows

    def in_scope(self, scope: Scope) -> bool:
        """Whether the key may be used for that."""
        return scope == Scope.READ or self.scopes is None or scope in self.scopes


#: what must hold of a key, its holder and its project, now
_STANDING = """
    FROM api_keys k JOIN principals p ON p.id = k.principal_id JOIN projects j ON j.id = k.project_id
        JOIN memberships m ON m.principal_id = k.principal_id AND m.project_id = k.project_id
    WHERE p.disabled_at IS NULL AND j.deleted_at IS NULL AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > now())
"""
_COLUMNS = """
    SELECT k.id, k.prefix, k.scopes, k.expires_at, k.principal_id, k.project_id, p.name AS principal,
        j.name AS project, m.role, p.operator,
        (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute') AS stale
"""
_BY_HASH = text(f"{_COLUMNS} {_STANDING} AND k.sha256 = :sha256")
_BY_ID = text(f"{_COLUMNS} {_STANDING} AND k.id = :id")
_STILL = text(f"SELECT k.id {_STANDING} AND k.id = ANY(:ids)")
_BY_MEMBERSHIP = text(
    """
    SELECT p.id, 'link' AS prefix, CAST(NULL AS text[]) AS scopes, CAST(NULL AS timestamptz) AS expires_at,
        p.id AS principal_id, j.id AS project_id, p.name AS principal, j.name AS project, m.role, false AS operator,
        false AS stale
    FROM memberships m JOIN principals p ON p.id = m.principal_id JOIN projects j ON j.id = m.project_id
    WHERE m.principal_id = :principal AND m.project_id = :project AND p.disabled_at IS NULL AND j.deleted_at IS NULL
    """
)
_USED = text("UPDATE api_keys SET last_used_at = now() WHERE id = :id")


def hash_key(key: str) -> str:
    """Keys are 256 random bits, so a plain hash is enough; a slow one would only slow every request."""
    return hashlib.sha256(key.encode()).hexdigest()


def by_key(session: Executes, key: str) -> Identity | None:
    """Who holds the key; None if it is unknown or no longer good."""
    return _identity(session, session.execute(_BY_HASH, {"sha256": hash_key(key)}).one_or_none())


def by_key_id(session: Executes, key_id: UUID) -> Identity | None:
    """Who holds the key of that id; None if it is no longer good."""
    return _identity(session, session.execute(_BY_ID, {"id": key_id}).one_or_none())


def by_membership(session: Session, principal_id: UUID, project_id: UUID) -> Identity | None:
    """The principal with its present role in a project, without a key: on behalf of whom a signed link acts. None if it
    is no member any more.
    """
    row = session.execute(_BY_MEMBERSHIP, {"principal": principal_id, "project": project_id}).one_or_none()
    return None if row is None else _identity(session, row)


def still_good(session: Session, key_ids: set[UUID]) -> set[UUID]:
    """Those of the keys that would be let in now."""
    return set(session.scalars(_STILL, {"ids": list(key_ids)}))


def _identity(session: Executes, row: Any) -> Identity | None:
    if row is None:
        return None
    if row.stale:
        session.execute(_USED, {"id": row.id})
    return Identity(
        principal_id=row.principal_id,
        project_id=row.project_id,
        principal=row.principal,
        project=row.project,
        role=Role(row.role),
        operator=row.operator,
        key_id=row.id,
        key_prefix=row.prefix,
        key_expires_at=row.expires_at,
        scopes=None if row.scopes is None else frozenset(Scope(scope) for scope in row.scopes),
    )

"""`Idempotency-Key` for requests that make no run: carried out once, answered the same way again."""

import hashlib
from typing import TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.db.models import IdempotencyKey
from shared.errors import Conflict

ViewT = TypeVar("ViewT", bound=BaseModel)


def digest_of(*what: object) -> str:
    """Equal for equal requests."""
    return hashlib.sha256(orjson.dumps(what, default=str)).hexdigest()


def answered(session: Session, project_id: UUID, key: str | None, digest: str, view: type[ViewT]) -> ViewT | None:
    """The answer that this key was given before; the key is held until the commit. Raises `Conflict`."""
    if key is None:
        return None
    lock = f"{project_id}:{key}"
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))"), {"lock": lock})
    query = select(IdempotencyKey).where(IdempotencyKey.project_id == project_id, IdempotencyKey.key == key)
    found = session.scalars(query).one_or_none()
    if found is None:
        return None
    if found.request_sha256 != digest or found.answer is None:
        raise Conflict(
            "This Idempotency-Key was used for a different request.",
            remedy="Send a new key with a new request, and the old key only with the old one.",
        )
    return view.model_validate(found.answer)


def remember(session: Session, project_id: UUID, key: str | None, digest: str, answer: BaseModel) -> None:
    """Keep the answer for a repeat."""
    if key is not None:
        kept = answer.model_dump(mode="json")
        session.add(IdempotencyKey(project_id=project_id, key=key, request_sha256=digest, answer=kept))

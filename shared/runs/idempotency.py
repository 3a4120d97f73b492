"""A request that is sent twice under one key is carried out once and answered the same way."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.db.models import IdempotencyKey
from shared.errors import Conflict

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")


def found(session: Session, project_id: UUID, key: str, digest: str) -> IdempotencyKey | None:
    """What is known of the key; until the commit nobody else may ask about it.

    Raises `Conflict` for a key that was used for a request of another digest.
    """
    session.execute(_LOCK, {"lock": f"{project_id}:{key}"})
    row = session.scalars(
        select(IdempotencyKey).where(IdempotencyKey.project_id == project_id, IdempotencyKey.key == key)
    ).one_or_none()
    if row is not None and row.request_sha256 != digest:
        raise Conflict(
            "This Idempotency-Key was used for a different request.",
            remedy="Send a new key with a new request, and the old key only with the old one.",
        )
    return row


def replayed(session: Session, project_id: UUID, key: str, digest: str) -> UUID | None:
    """The run that this request made before, if it did. Holds the key and raises as `found` does."""
    row = found(session, project_id, key, digest)
    return None if row is None else row.run_id


def remember(
    session: Session,
    project_id: UUID,
    key: str,
    digest: str,
    run_id: UUID | None = None,
    *,
    answer: dict[str, Any] | None = None,
) -> None:
    """From this commit on the key stands for a run, or for the answer to a request that made none."""
    session.add(IdempotencyKey(project_id=project_id, key=key, request_sha256=digest, run_id=run_id, answer=answer))

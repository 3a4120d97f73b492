"""A request that is sent twice under one key is carried out once and answered the same way."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from shared.db.session import Executes
from shared.errors import Conflict

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")
_USED = text("SELECT request_sha256, run_id, answer FROM idempotency_keys WHERE project_id = :project AND key = :key")
_REMEMBER = text(
    "INSERT INTO idempotency_keys (project_id, key, request_sha256, run_id, answer) "
    "VALUES (:project, :key, :digest, :run, CAST(:answer AS jsonb))"
)


def found(session: Executes, project_id: UUID, key: str, digest: str) -> Row[Any] | None:
    """What is known of the key; until the commit nobody else may ask about it.

    Raises `Conflict` for a key that was used for a request of another digest.
    """
    session.execute(_LOCK, {"lock": f"{project_id}:{key}"})
    row: Row[Any] | None = session.execute(_USED, {"project": project_id, "key": key}).one_or_none()
    if row is not None and row.request_sha256 != digest:
        raise Conflict(
            "This Idempotency-Key was used for a different request.",
            remedy="Send a new key with a new request, and the old key only with the old one.",
        )
    return row


def replayed(session: Executes, project_id: UUID, key: str, digest: str) -> UUID | None:
    """The run that this request made before, if it did. Holds the key and raises as `found` does."""
    row = found(session, project_id, key, digest)
    return None if row is None else row.run_id


def remember(
    session: Executes,
    project_id: UUID,
    key: str,
    digest: str,
    run_id: UUID | None = None,
    *,
    answer: dict[str, Any] | None = None,
) -> None:
    """From this commit on the key stands for a run, or for the answer to a request that made none."""
    told = None if answer is None else orjson.dumps(answer).decode()
    values = {"project": project_id, "key": key, "digest": digest, "run": run_id, "answer": told}
    session.execute(_REMEMBER, values)

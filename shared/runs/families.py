"""Failures by family: what went wrong in the same way, seen and retried together."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql import ColumnElement

from shared.contracts.actions import FailureGroup, FamilyRetried, Refusal
from shared.db.models import Run
from shared.errors import NotFound, UserError
from shared.runs.again import retry
from shared.runs.submit import Caller
from shared.settings import Settings

_T = TypeVar("_T")
_SHOWN = 5
_GROUPS = text(
    """
    WITH families AS (
        SELECT error_signature AS signature, count(*) AS count, array_agg(DISTINCT kind) AS kinds, min(cause) AS cause,
            count(*) FILTER (WHERE NOT EXISTS (SELECT FROM runs AS new WHERE new.retry_of = runs.id)) AS not_retried,
            min(finished_at) AS oldest, max(finished_at) AS newest,
            (array_agg(id ORDER BY finished_at DESC, id DESC))[1:CAST(:shown AS int)] AS run_ids
        FROM runs
        WHERE project_id = :project AND error_signature IS NOT NULL
            AND (CAST(:since AS timestamptz) IS NULL OR finished_at >= :since)
        GROUP BY error_signature
    )
    SELECT families.*, coalesce(runs.envelope->'error'->>'message', '') AS message
    FROM families JOIN runs ON runs.id = families.run_ids[1]
    WHERE CAST(:newest AS timestamptz) IS NULL OR (newest, signature) < (:newest, :signature)
    ORDER BY newest DESC, signature DESC LIMIT :limit
    """
)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")


def groups(
    session: Session, project_id: UUID, since: datetime | None, after: tuple[datetime, str] | None, limit: int
) -> list[FailureGroup]:
    """Families that had a failure since, those of the newest failure first; `after` is the last one seen before."""
    newest, signature = after or (None, None)
    values = {"project": project_id, "since": since, "newest": newest, "signature": signature}
    rows = session.execute(_GROUPS, {**values, "limit": limit, "shown": _SHOWN}).mappings()
    return [FailureGroup.model_validate(dict(row)) for row in rows]


def retry_family(
    session: Session, settings: Settings, caller: Caller, signature: str, limit: int
) -> tuple[FamilyRetried, dict[UUID, UUID]]:
    """Retry those of a family that have not been, newest first. Also returns old run -> new run.

    Two requests at once retry each run once. Raises `NotFound` for a family that this project does not have.
    """
    session.execute(_LOCK, {"lock": f"{caller.project_id}:{signature}"})
    mine: list[ColumnElement[bool]] = [Run.project_id == caller.project_id, Run.error_signature == signature]
    if not session.scalar(select(exists().where(*mine))):
        raise NotFound(f"There is no failure {signature!r} in this project.", remedy="See GET /v1/failures.")
    newer = aliased(Run)
    mine.append(~exists().where(newer.retry_of == Run.id))
    members = session.scalars(select(Run).where(*mine).order_by(Run.id.desc()).limit(limit)).all()
    made, refused = on_each(session, members, lambda run: retry(session, settings, caller, run))
    left = session.scalar(select(func.count()).select_from(Run).where(*mine)) or 0
    return FamilyRetried(run_ids=list(made.values()), refused=refused, left=left - len(refused)), made


def on_each(session: Session, runs: Iterable[Run], do: Callable[[Run], _T]) -> tuple[dict[UUID, _T], list[Refusal]]:
    """Do something to each run by itself: what is refused for one leaves no trace and does not stop the others."""
    done: dict[UUID, _T] = {}
    refused: list[Refusal] = []
    for run in runs:
        run_id = run.id
        try:
            with session.begin_nested():
                done[run_id] = do(run)
        except UserError as error:
            refused.append(Refusal(run_id=run_id, reason=f"{error.message} {error.remedy}"))
    return done, refused

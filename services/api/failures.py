"""Failures by family: what went wrong in the same way, and all of it once more."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.api.audit import audit
from services.api.deps import EditorDep, Limit, PartsDep, SessionDep, ViewerDep
from services.api.idempotent import OnceDep
from shared.contracts.actions import FailureGroup, FamilyRetried
from shared.contracts.instants import Instant
from shared.contracts.views import Page
from shared.db.session import transaction
from shared.errors import UserError
from shared.runs.families import groups, retry_family

router = APIRouter(prefix="/v1/failures", tags=["runs"])
Signature = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
#: of the last family of the page before: when it failed last, and its signature
Cursor = Annotated[str | None, Query(pattern=r"^[0-9T:.Z-]{19,30}~[0-9a-f]{16}$")]


@router.get("")
def list_failures(
    session: SessionDep,
    identity: ViewerDep,
    since: Instant | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FailureGroup]:
    """Failed and quarantined runs, grouped by what went wrong; the family of the newest failure first."""
    found = groups(session, identity.project_id, since, _place(cursor), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    after = f"{last.newest:%Y-%m-%dT%H:%M:%S.%fZ}~{last.signature}" if last else None
    return Page(items=found[:limit], next_cursor=after)


def _place(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    newest, _, signature = cursor.partition("~")
    try:
        return datetime.fromisoformat(newest), signature
    except ValueError as error:
        raise UserError("The cursor is not one of this list.", remedy="Send back `next_cursor` as it was.") from error


@router.post("/{signature}/retry", status_code=202)
def retry_failures(
    signature: Signature,
    parts: PartsDep,
    identity: EditorDep,
    once: OnceDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> FamilyRetried:
    """Retry every run of the family that has not been retried, the newest first."""

    def retry() -> FamilyRetried:
        answer, made = retry_family(session, parts.settings, identity, signature, limit)
        for old, new in made.items():
            audit(session, identity, "run.retry", old, new=new, family=signature)
        return answer

    with transaction(parts.engine) as session:
        answer = once(session, identity, FamilyRetried, limit, make=retry)
    parts.after_submit()
    return answer

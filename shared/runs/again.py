"""A run that ended badly, once more: a new run, because an end never changes."""

from uuid import UUID

from sqlalchemy.orm import Session

from shared.contracts.kinds import kind_named
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.stored import read_spec
from shared.db.models import Run
from shared.errors import Conflict, Fatal
from shared.runs.submit import Caller, Request, submit
from shared.settings import Settings


def retry(session: Session, settings: Settings, caller: Caller, run: Run, key: str | None = None) -> UUID:
    """Submit what `run` was asked to do again, its inputs pinned anew. Returns the id of the new run.

    Raises `Conflict` for a run that has not ended, has succeeded or has a spec of another release, and what `submit`
    raises.
    """
    if run.state not in TERMINAL:
        raise Conflict(f"The run has not ended (it is {run.state}).", remedy="Wait for its end, or cancel it first.")
    if run.state == RunState.SUCCEEDED:
        raise Conflict("The run has succeeded: there is nothing to retry.", remedy="Clone it to run it again.")
    request = Request(run.kind, old_spec(run), run.pool, run.priority, run.labels, key, retry_of=run.id)
    return submit(session, settings, caller, request)


def old_spec(run: Run) -> Spec:
    """What `run` was asked to do. Raises `Conflict` where this release cannot read it."""
    try:
        return read_spec(kind_named(run.kind).name, run.spec_version, run.spec)
    except Fatal as error:
        raise Conflict(error.message, remedy=error.remedy) from error

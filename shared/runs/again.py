"""A run that ended badly, once more: a new run, because an end never changes."""

from typing import cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contracts.batches import BATCH, Policy
from shared.contracts.campaigns import CAMPAIGN
from shared.contracts.kinds import kind_named
from shared.contracts.specs import Spec
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.stored import read_spec
from shared.db.models import Run
from shared.errors import Conflict, Fatal, UserError
from shared.runs.batch import submit_batch
from shared.runs.submit import Caller, Request, submit
from shared.settings import Settings


def retry(
    session: Session,
    settings: Settings,
    caller: Caller,
    run: Run,
    key: str | None = None,
    *,
    everything: bool = False,
) -> UUID:
    """Submit what `run` was asked to do again, its inputs pinned anew. Returns the id of the new run.

    Of a batch only the runs that did not succeed, unless `everything`. Raises `Conflict` for a run that has not ended,
    has succeeded or has a spec that this release cannot read, and what `submit` raises.
    """
    if run.kind == CAMPAIGN:
        raise Conflict("A campaign is not retried.", remedy="Fork it: the new one knows what this one has tried.")
    if run.state not in TERMINAL:
        raise Conflict(f"The run has not ended (it is {run.state}).", remedy="Wait for its end, or cancel it first.")
    if run.kind == BATCH:
        return _retry_batch(session, settings, caller, run, key, everything)
    if everything:
        raise UserError("Only a batch is retried as a whole.", remedy="Leave `everything` out.")
    if run.state == RunState.SUCCEEDED:
        raise Conflict("The run has succeeded: there is nothing to retry.", remedy="Clone it to run it again.")
    request = Request(run.kind, old_spec(run), run.pool, run.priority, run.labels, key, retry_of=run.id)
    return submit(session, settings, caller, request)


def _retry_batch(
    session: Session, settings: Settings, caller: Caller, parent: Run, key: str | None, everything: bool
) -> UUID:
    requests = [
        request for child, request in batch_requests(session, parent) if everything or child.state != RunState.SUCCEEDED
    ]
    if not requests:
        raise Conflict("Every run of the batch has succeeded.", remedy="Retry it with `everything`, or clone it.")
    return submit_batch(
        session,
        settings,
        caller,
        requests,
        cast(Policy, parent.policy),
        labels=parent.labels,
        priority=parent.priority,
        key=key,
        retry_of=parent.id,
    )


def batch_requests(session: Session, parent: Run) -> list[tuple[Run, Request]]:
    """The runs of a batch and how each would be asked for again."""
    children = session.scalars(select(Run).where(Run.parent_id == parent.id).order_by(Run.id))
    return [
        (child, Request(child.kind, old_spec(child), child.pool, child.priority, child.labels, retry_of=child.id))
        for child in children
    ]


def old_spec(run: Run) -> Spec:
    """What `run` was asked to do. Raises `Conflict` where this release cannot read it."""
    try:
        return read_spec(kind_named(run.kind).name, run.spec_version, run.spec)
    except Fatal as error:
        raise Conflict(error.message, remedy=error.remedy) from error

"""What can be asked of a run that exists: cancel, pause, resume; retry and clone, which make a new one."""

from dataclasses import replace
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy.orm import Session

from services.api.audit import audit
from services.api.deps import EditorDep, IdempotencyKey, PartsDep
from services.api.submissions import checked
from services.api.views import find_run, run_views
from shared.contracts.batches import BATCH, Policy
from shared.contracts.campaigns import CAMPAIGN
from shared.contracts.kinds import kind_named
from shared.contracts.lifecycle import CloneRequest, RetryRequest, merged
from shared.contracts.views import RunView
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import Conflict
from shared.runs.again import batch_requests, old_spec, retry
from shared.runs.batch import submit_batch
from shared.runs.cancel import request_cancel
from shared.runs.pause import request_pause, resume
from shared.runs.submit import Request, submit

router = APIRouter(prefix="/v1/runs", tags=["runs"])


class Change:
    """What every route here is given: whose run it is, and how an answer is made after the commit."""

    def __init__(self, run_id: UUID, parts: PartsDep, identity: EditorDep, response: Response) -> None:
        self.run_id, self.parts, self.identity, self._response = run_id, parts, identity, response

    def find(self, session: Session) -> Run:
        """The run. Raises `NotFound`."""
        return find_run(session, self.identity.project_id, self.run_id)

    def answer(self, run_id: UUID) -> RunView:
        """The run as it is now; in eager mode what was queued has ended."""
        self.parts.after_submit()
        self._response.headers["Location"] = f"/v1/runs/{run_id}"
        with transaction(self.parts.engine) as session:
            return run_views(session, [session.get_one(Run, run_id)])[0]


ChangeDep = Annotated[Change, Depends()]


@router.post("/{run_id}/cancel", status_code=202)
def cancel_run(change: ChangeDep) -> RunView:
    """Ask for the end of a run; one that has ended stays as it is."""
    with transaction(change.parts.engine) as session:
        request_cancel(session, change.find(session).id)
        audit(session, change.identity, "run.cancel", change.run_id)
    return change.answer(change.run_id)


@router.post("/{run_id}/pause", status_code=202)
def pause_run(change: ChangeDep) -> RunView:
    """Ask a run to rest without a slot. One that runs checkpoints first; a body that keeps no checkpoint starts over
    when it is resumed.
    """
    with transaction(change.parts.engine) as session:
        request_pause(session, change.find(session).id)
        audit(session, change.identity, "run.pause", change.run_id)
    return change.answer(change.run_id)


@router.post("/{run_id}/resume", status_code=202)
def resume_run(change: ChangeDep) -> RunView:
    """Let a paused run go on from its last checkpoint, as a new attempt."""
    with transaction(change.parts.engine) as session:
        resume(session, change.find(session).id)
        audit(session, change.identity, "run.resume", change.run_id)
    return change.answer(change.run_id)


@router.post("/{run_id}/retry", status_code=202)
def retry_run(change: ChangeDep, body: RetryRequest | None = None, key: IdempotencyKey = None) -> RunView:
    """Run again, as a new run, what has failed, was cancelled or quarantined; of a batch what did not succeed."""
    everything = body is not None and body.everything
    with transaction(change.parts.engine) as session:
        old = change.find(session)
        new = retry(session, change.parts.settings, change.identity, old, key, everything=everything)
        audit(session, change.identity, "run.retry", change.run_id, new=new)
    return change.answer(new)


@router.post("/{run_id}/clone", status_code=202)
def clone_run(body: CloneRequest, change: ChangeDep, key: IdempotencyKey = None) -> RunView:
    """Submit a run like this one, edited. A run that makes a dataset or a model needs another name."""
    with transaction(change.parts.engine) as session:
        old = change.find(session)
        new = _clone(session, change, old, body, key)
        audit(session, change.identity, "run.clone", change.run_id, new=new)
    return change.answer(new)


def _clone(session: Session, change: Change, old: Run, body: CloneRequest, key: str | None) -> UUID:
    settings, caller = change.parts.settings, change.identity
    if old.kind == CAMPAIGN:
        raise Conflict("A campaign is not cloned.", remedy="Fork it: the new one knows what this one has tried.")
    if old.kind != BATCH:
        asked = Request(old.kind, old_spec(old), old.pool, old.priority, old.labels, key)
        return submit(session, settings, caller, _edited(asked, body))
    return submit_batch(
        session,
        settings,
        caller,
        [_edited(replace(request, retry_of=None), body) for _child, request in batch_requests(session, old)],
        cast(Policy, old.policy),
        labels=old.labels if body.labels is None else body.labels,
        priority=old.priority if body.priority is None else body.priority,
        key=key,
    )


def _edited(asked: Request, body: CloneRequest) -> Request:
    spec = checked(kind_named(asked.kind).spec, merged(asked.spec.model_dump(mode="json"), body.spec))
    return replace(
        asked,
        spec=spec,
        pool=body.pool or asked.pool,
        priority=asked.priority if body.priority is None else body.priority,
        labels=asked.labels if body.labels is None else body.labels,
    )

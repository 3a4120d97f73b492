"""Batches: many runs under one parent, which ends by its policy once all of them have ended.

A decided batch (`all` after a failure, `any` after a success) cancels what is still open and waits for it, so that its
counts are final and nothing of it goes on behind its back.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.contracts.batches import BATCH, BatchResult, ChildError, Policy
from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.states import RunState
from shared.contracts.views import ChildCounts
from shared.db.models import Run
from shared.errors import UserError
from shared.runs import idempotency, parents, sync
from shared.runs.cancel import request_cancel
from shared.runs.errors import cancelled, named_cause
from shared.runs.submit import Caller, Request, submit
from shared.settings import Settings

_SPEC_VERSION = 1
_ERRORS_SHOWN = 10
_SUCCESSES_SHOWN = 100
_REMEDY = "Look at the errors, mend their cause and retry the batch: only what did not succeed runs again."


def submit_batch(
    session: Session,
    settings: Settings,
    caller: Caller,
    requests: Sequence[Request],
    policy: Policy,
    *,
    labels: dict[str, str],
    priority: int = 0,
    key: str | None = None,
    retry_of: UUID | None = None,
) -> UUID:
    """Queue all runs under a new parent and return its id; the same id for a repeated key. All or none is submitted.

    Raises what `submit` raises, with the place of the run that is refused.
    """
    body = [policy, labels, priority, [request.digest() for request in requests], str(retry_of)]
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    if key and (before := idempotency.replayed(session, caller.project_id, key, digest)):
        return before
    parent = parents.open_parent(
        session,
        project_id=caller.project_id,
        created_by=caller.principal_id,
        kind=BATCH,
        spec={"count": len(requests)},
        spec_version=_SPEC_VERSION,
        policy=policy,
        labels=labels,
        priority=priority,
        retry_of=retry_of,
    )
    for index, request in enumerate(requests):
        try:
            submit(session, settings, caller, replace(request, parent_id=parent))
        except UserError as error:
            raise type(error)(f"runs.{index}: {error.message}", remedy=error.remedy) from error
    if key:
        idempotency.remember(session, caller.project_id, key, digest, parent)
    return parent


def advance(session: Session, parent: Run) -> None:
    """See `parents.Advance`."""
    counts = _counts(session, parent)
    if counts.open and (parent.cancel_requested_at is not None or _decided(parent.policy, counts)):
        for child in parents.open_children(session, parent.id):
            if child.cancel_requested_at is None:
                request_cancel(session, child.id, tell_parent=False)
        counts = _counts(session, parent)
    if counts.open:
        parents.tell(session, parent)
    else:
        _end(session, parent, counts)


parents.register_parent(BATCH, advance)


def _counts(session: Session, parent: Run) -> ChildCounts:
    return parents.count_children(session, [parent.id])[parent.id]


def _decided(policy: str | None, counts: ChildCounts) -> bool:
    if policy == "all":
        return counts.failed + counts.quarantined + counts.cancelled > 0
    return policy == "any" and counts.succeeded > 0


def _end(session: Session, parent: Run, counts: ChildCounts) -> None:
    result = _result(session, parent, counts)
    enough = counts.succeeded == counts.total if parent.policy == "all" else counts.succeeded > 0
    error = None
    to = RunState.SUCCEEDED
    if parent.cancel_requested_at is not None and counts.cancelled:
        to, error = RunState.CANCELLED, cancelled()
    elif not enough:
        to, error = RunState.FAILED, _error(counts, result)
    envelope = Envelope(
        success=error is None,
        run_id=parent.id,
        attempt=parent.attempt,
        task_id=f"{parent.id}:{parent.attempt}",
        kind=parent.kind,
        duration_seconds=_age_s(session, parent),
        result=result.model_dump(mode="json") if error is None else None,
        error=error,
        partial=result.model_dump(mode="json") if error is not None else None,
    )
    parents.tell(session, parent, quiet_s=0.0)
    sync.finish(session, parent.id, to, envelope, attempt=parent.attempt, only_from=[RunState.WAITING])


def _age_s(session: Session, parent: Run) -> float:
    age = select(func.extract("epoch", func.now() - Run.created_at)).where(Run.id == parent.id)
    return round(float(session.execute(age).scalar_one()), 3)


def _result(session: Session, parent: Run, counts: ChildCounts) -> BatchResult:
    own = select(Run).where(Run.parent_id == parent.id)
    bad = own.where(Run.state.in_([RunState.FAILED, RunState.QUARANTINED])).order_by(Run.finished_at, Run.id)
    good = select(Run.id).where(Run.parent_id == parent.id, Run.state == RunState.SUCCEEDED).order_by(Run.id)
    errors = [(run.id, (run.envelope or {}).get("error") or {}) for run in session.scalars(bad.limit(_ERRORS_SHOWN))]
    return BatchResult(
        total=counts.total,
        succeeded=counts.succeeded,
        failed=counts.failed,
        cancelled=counts.cancelled,
        quarantined=counts.quarantined,
        errors=[
            ChildError(run_id=run_id, type=error.get("type", ""), message=error.get("message", "")[:500])
            for run_id, error in errors
        ],
        successes=list(session.scalars(good.limit(_SUCCESSES_SHOWN))),
    )


def _error(counts: ChildCounts, result: BatchResult) -> ErrorInfo:
    ends = ", ".join(
        f"{number} {state}"
        for state in ("succeeded", "failed", "cancelled", "quarantined")
        if (number := getattr(counts, state))
    )
    first = f" The first error: {result.errors[0].message}" if result.errors else ""
    return named_cause("ChildrenFailed", f"Of {counts.total} runs {ends}.{first}", _REMEDY, Cause.CHILDREN)

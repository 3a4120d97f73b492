"""Many runs in one request, under one parent."""

from fastapi import APIRouter, Response

from services.api.audit import audit
from services.api.deps import EditorDep, IdempotencyKey, PartsDep
from services.api.submissions import checked
from services.api.views import run_views
from shared.contracts.batches import BatchRequest
from shared.contracts.kinds import kind_named
from shared.contracts.views import RunView, SubmitRequest
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import UserError
from shared.runs.batch import submit_batch
from shared.runs.submit import Request

router = APIRouter(prefix="/v1/batches", tags=["submit"])


@router.post("", status_code=202)
def submit_runs(
    body: BatchRequest, parts: PartsDep, identity: EditorDep, response: Response, key: IdempotencyKey = None
) -> RunView:
    """Submit many runs, all or none. Their parent ends by its policy when they have ended; cancel, pause, resume and
    retry of the parent act on them.
    """
    requests = [_request(index, asked, body) for index, asked in enumerate(body.runs)]
    with transaction(parts.engine) as session:
        run_id = submit_batch(
            session,
            parts.settings,
            identity,
            requests,
            body.policy,
            labels=body.labels,
            priority=body.priority,
            key=key,
        )
        audit(session, identity, "batch.submit", run_id, runs=len(requests), policy=body.policy)
    parts.after_submit()
    response.headers["Location"] = f"/v1/runs/{run_id}"
    with transaction(parts.engine) as session:
        return run_views(session, [session.get_one(Run, run_id)])[0]


def _request(index: int, asked: SubmitRequest, body: BatchRequest) -> Request:
    try:
        kind = kind_named(asked.kind)
        spec = checked(kind.spec, asked.spec)
    except UserError as error:
        raise type(error)(f"runs.{index}: {error.message}", remedy=error.remedy) from error
    priority = asked.priority if "priority" in asked.model_fields_set else body.priority
    labels = body.labels | asked.labels
    return Request(kind.name, spec, asked.pool, priority, labels, not_before=asked.not_before)

"""`POST`: a request becomes a run. One typed route per kind, and one that takes any."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from services.api.deps import IdempotencyKey, Identity, IdentityDep, Parts, PartsDep
from services.api.problems import readable
from services.api.views import run_view
from shared.contracts.kinds import kind_named
from shared.contracts.specs import EvaluationSpec, GenerateSpec, ImportSpec, Spec, TrainingSpec
from shared.contracts.views import RunView, SubmitRequest
from shared.db.models import Run
from shared.db.session import transaction
from shared.errors import UserError
from shared.runs.submit import Request, submit

router = APIRouter(prefix="/v1", tags=["submit"])
Pool = Annotated[str | None, Query(max_length=60)]
Priority = Annotated[int, Query(ge=-100, le=100)]
_ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": RunView}


def _submit(parts: Parts, identity: Identity, request: Request, response: Response) -> RunView:
    with transaction(parts.engine) as session:
        run_id = submit(session, parts.settings, identity, request)
    parts.after_submit()
    response.headers["Location"] = f"/v1/runs/{run_id}"
    with transaction(parts.engine) as session:
        return run_view(session.get_one(Run, run_id))


@router.post("/datasets/import", **_ACCEPTED)
def import_dataset(
    spec: ImportSpec,
    parts: PartsDep,
    identity: IdentityDep,
    response: Response,
    key: IdempotencyKey = None,
    pool: Pool = None,
    priority: Priority = 0,
) -> RunView:
    """Turn uploaded records into a dataset."""
    return _submit(parts, identity, Request("dataset.import", spec, pool, priority, {}, key), response)


@router.post("/datasets/generate", **_ACCEPTED)
def generate_dataset(
    spec: GenerateSpec,
    parts: PartsDep,
    identity: IdentityDep,
    response: Response,
    key: IdempotencyKey = None,
    pool: Pool = None,
    priority: Priority = 0,
) -> RunView:
    """Make a dataset of synthetic records."""
    return _submit(parts, identity, Request("dataset.generate", spec, pool, priority, {}, key), response)


@router.post("/trainings", **_ACCEPTED)
def train(
    spec: TrainingSpec,
    parts: PartsDep,
    identity: IdentityDep,
    response: Response,
    key: IdempotencyKey = None,
    pool: Pool = None,
    priority: Priority = 0,
) -> RunView:
    """Train a model."""
    return _submit(parts, identity, Request("model.train", spec, pool, priority, {}, key), response)


@router.post("/evaluations", **_ACCEPTED)
def evaluate(
    spec: EvaluationSpec,
    parts: PartsDep,
    identity: IdentityDep,
    response: Response,
    key: IdempotencyKey = None,
    pool: Pool = None,
    priority: Priority = 0,
) -> RunView:
    """Score models on records that they have not seen."""
    return _submit(parts, identity, Request("model.evaluate", spec, pool, priority, {}, key), response)


@router.post("/runs", **_ACCEPTED)
def submit_any(
    body: SubmitRequest, parts: PartsDep, identity: IdentityDep, response: Response, key: IdempotencyKey = None
) -> RunView:
    """Submit a run of any kind."""
    kind = kind_named(body.kind)
    spec = _checked(kind.spec, body.spec)
    return _submit(parts, identity, Request(kind.name, spec, body.pool, body.priority, body.labels, key), response)


def _checked(spec_type: type[Spec], given: dict[str, Any]) -> Spec:
    try:
        return spec_type.model_validate(given)
    except ValidationError as error:
        found = readable(error.errors())
        first = "; ".join(f"spec.{item['where']}: {item['message']}" for item in found[:3])
        raise UserError(f"{first}.", remedy="Correct these fields of the spec and send again.") from error

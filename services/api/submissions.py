"""`POST`: a request becomes a run. One typed route per kind, and one that takes any."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import ValidationError

from services.api.audit import audit
from services.api.deps import EditorDep, IdempotencyKey, PartsDep
from services.api.problems import readable
from services.api.views import run_view
from shared.contracts.instants import Instant
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
NotBefore = Annotated[Instant | None, Query(description="Do not start earlier; with a time zone.")]
_ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": RunView}


class Asked:
    """What every submitting route is given beside its spec."""

    def __init__(
        self,
        parts: PartsDep,
        identity: EditorDep,
        response: Response,
        key: IdempotencyKey = None,
        pool: Pool = None,
        priority: Priority = 0,
        not_before: NotBefore = None,
    ) -> None:
        self.parts, self.identity, self.response = parts, identity, response
        self.key, self.pool, self.priority, self.not_before = key, pool, priority, not_before

    def for_run(self, kind: str, spec: Spec) -> RunView:
        """Submit a run as the query says."""
        return self.submit(Request(kind, spec, self.pool, self.priority, {}, self.key, not_before=self.not_before))

    def submit(self, request: Request) -> RunView:
        """Submit; in eager mode the run has ended before this returns."""
        with transaction(self.parts.engine) as session:
            run_id = submit(session, self.parts.settings, self.identity, request)
            audit(session, self.identity, "run.submit", run_id, kind=request.kind)
        self.parts.after_submit()
        self.response.headers["Location"] = f"/v1/runs/{run_id}"
        with transaction(self.parts.engine) as session:
            return run_view(session.get_one(Run, run_id))


AskedDep = Annotated[Asked, Depends()]


@router.post("/datasets/import", **_ACCEPTED)
def import_dataset(spec: ImportSpec, asked: AskedDep) -> RunView:
    """Turn uploaded records into a dataset."""
    return asked.for_run("dataset.import", spec)


@router.post("/datasets/generate", **_ACCEPTED)
def generate_dataset(spec: GenerateSpec, asked: AskedDep) -> RunView:
    """Make a dataset of synthetic records."""
    return asked.for_run("dataset.generate", spec)


@router.post("/trainings", **_ACCEPTED)
def train(spec: TrainingSpec, asked: AskedDep) -> RunView:
    """Train a model."""
    return asked.for_run("model.train", spec)


@router.post("/evaluations", **_ACCEPTED)
def evaluate(spec: EvaluationSpec, asked: AskedDep) -> RunView:
    """Score models on records that they have not seen."""
    return asked.for_run("model.evaluate", spec)


@router.post("/runs", **_ACCEPTED)
def submit_any(body: SubmitRequest, asked: AskedDep) -> RunView:
    """Submit a run of any kind. Pool, priority and time of the body outweigh those of the query."""
    kind = kind_named(body.kind)
    spec = checked(kind.spec, body.spec)
    pool, priority = body.pool or asked.pool, body.priority or asked.priority
    not_before = body.not_before or asked.not_before
    return asked.submit(Request(kind.name, spec, pool, priority, body.labels, asked.key, not_before=not_before))


def checked(spec_type: type[Spec], given: dict[str, Any]) -> Spec:
    """What was sent as a spec. Raises `UserError` that names the fields which are wrong."""
    try:
        return spec_type.model_validate(given)
    except ValidationError as error:
        found = readable(error.errors())
        first = "; ".join(f"spec.{item['where']}: {item['message']}" for item in found[:3])
        raise UserError(f"{first}.", remedy="Correct these fields of the spec and send again.") from error

"""`POST`: a request becomes a run. One typed route per kind, and one that takes any."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import ValidationError
from sqlalchemy import text

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import EditorDep, IdempotencyKey, Parts, PartsDep
from services.api.problems import readable
from services.api.views import run_view
from shared.contracts.instants import Instant
from shared.contracts.kinds import kind_named
from shared.contracts.specs import EvaluationSpec, GenerateSpec, ImportSpec, Spec, TrainingSpec
from shared.contracts.views import RunView, SubmitRequest
from shared.db.models import Run
from shared.db.session import autocommit, statements
from shared.errors import UserError
from shared.runs.submit import Request, submit

router = APIRouter(prefix="/v1", tags=["submit"])
Pool = Annotated[str | None, Query(max_length=60)]
Priority = Annotated[int, Query(ge=-100, le=100)]
NotBefore = Annotated[Instant | None, Query(description="Do not start earlier; with a time zone.")]
_ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": RunView}


@dataclass(frozen=True)
class Asked:
    """What every submitting route is given beside its spec."""

    parts: Parts
    identity: Identity
    key: str | None
    pool: str | None
    priority: int
    not_before: datetime | None

    def for_run(self, kind: str, spec: Spec) -> Response:
        """Submit a run as the query says."""
        return self.submit(Request(kind, spec, self.pool, self.priority, {}, self.key, not_before=self.not_before))

    def submit(self, request: Request) -> Response:
        """Submit; in eager mode the run has ended before this returns."""
        with statements(self.parts.engine) as session:
            run_id = submit(session, self.parts.settings, self.identity, request)
            audit(session, self.identity, "run.submit", run_id, kind=request.kind)
        self.parts.after_submit()
        with autocommit(self.parts.engine) as session:
            view = run_view(session.execute(_RUN, {"id": run_id}).one())
        # rendered here, once: FastAPI would check it against its own schema again
        return Response(view.model_dump_json(), 202, {"Location": f"/v1/runs/{run_id}"}, media_type="application/json")


async def _asked(
    parts: PartsDep,
    identity: EditorDep,
    key: IdempotencyKey = None,
    pool: Pool = None,
    priority: Priority = 0,
    not_before: NotBefore = None,
) -> Asked:
    return Asked(parts, identity, key, pool, priority, not_before)


AskedDep = Annotated[Asked, Depends(_asked)]
#: By name: a statement that is prepared with `*` breaks when a newer release adds a column.
_RUN = text(f"SELECT {', '.join(Run.__table__.columns.keys())} FROM runs WHERE id = :id")  # noqa: S608 - our columns


@router.post("/datasets/import", **_ACCEPTED)
def import_dataset(spec: ImportSpec, asked: AskedDep) -> Response:
    """Turn uploaded records into a dataset."""
    return asked.for_run("dataset.import", spec)


@router.post("/datasets/generate", **_ACCEPTED)
def generate_dataset(spec: GenerateSpec, asked: AskedDep) -> Response:
    """Make a dataset of synthetic records."""
    return asked.for_run("dataset.generate", spec)


@router.post("/trainings", **_ACCEPTED)
def train(spec: TrainingSpec, asked: AskedDep) -> Response:
    """Train a model."""
    return asked.for_run("model.train", spec)


@router.post("/evaluations", **_ACCEPTED)
def evaluate(spec: EvaluationSpec, asked: AskedDep) -> Response:
    """Score models on records that they have not seen."""
    return asked.for_run("model.evaluate", spec)


@router.post("/runs", **_ACCEPTED)
def submit_any(body: SubmitRequest, asked: AskedDep) -> Response:
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

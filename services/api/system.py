"""Who am I, who works here, and is this server well."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy import text

from services.api.deps import PartsDep, SessionDep, ViewerDep
from shared.contracts.views import MeView, Page, WorkerView
from shared.db.session import transaction
from shared.observability import metrics

router = APIRouter(tags=["system"])
_WORKERS = text(
    """
    SELECT name, pools, slots, draining, version, started_at, heartbeat_at,
        heartbeat_at > now() - make_interval(secs => :lease_s) AS alive,
        (SELECT count(*) FROM runs WHERE state = 'running' AND worker = workers.name) AS busy
    FROM workers ORDER BY name
    """
)


@router.get("/v1/me")
def me(identity: ViewerDep) -> MeView:
    """Whose key this is, and what it may do."""
    return MeView(
        principal=identity.principal,
        project=identity.project,
        key_prefix=identity.key_prefix,
        role=identity.role,
        operator=identity.operator,
        scopes=None if identity.scopes is None else sorted(identity.scopes),
        key_expires_at=identity.key_expires_at,
    )


@router.get("/v1/workers")
def workers(session: SessionDep, parts: PartsDep, _identity: ViewerDep) -> Page[WorkerView]:
    """The workers that registered."""
    rows = session.execute(_WORKERS, {"lease_s": parts.settings.lease_s}).mappings()
    return Page(items=[WorkerView.model_validate(dict(row)) for row in rows])


@router.get("/livez", response_class=PlainTextResponse)
def alive() -> str:
    """This process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
def ready(parts: PartsDep) -> str:
    """The database answers: all that a request needs."""
    with transaction(parts.engine) as session:
        session.execute(text("SELECT 1"))
    return "ok"


@router.get("/metrics")
def show_metrics() -> Response:
    """Prometheus exposition of this process."""
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

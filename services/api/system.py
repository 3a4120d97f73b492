"""Who am I, and is this server well."""

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy import text

from services.api.deps import SessionDep, ViewerDep
from services.api.ready import Probe
from shared.contracts.stream import VersionView
from shared.contracts.views import MeView
from shared.observability import metrics
from shared.version import VERSION

router = APIRouter(tags=["system"])


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


@router.get("/livez", response_class=PlainTextResponse)
def alive() -> str:
    """This process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
async def ready(request: Request) -> str:
    """The database answers within two seconds: all that a request needs. Streams that have trouble show in the metrics:
    to take a server away from its clients would not help them.
    """
    probe: Probe = request.app.state.probe
    await probe.check()
    return "ok"


@router.get("/v1/version")
def show_version(session: SessionDep, _identity: ViewerDep) -> VersionView:
    """What runs here: the release, the version of the API, and the revision of the database's schema."""
    revision = session.scalar(text("SELECT version_num FROM alembic_version"))
    return VersionView(version=VERSION, api="v1", database_revision=revision)


@router.get("/metrics", response_class=PlainTextResponse)
def show_metrics() -> Response:
    """Prometheus exposition of this process."""
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

"""The API: `build` wires it, `main.py` serves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from services.api import (
    actions,
    audit_log,
    batches,
    campaign_views,
    campaigns,
    channels,
    deleting,
    deliveries,
    diagnostics,
    entities,
    events,
    failures,
    files,
    inbox,
    keys,
    lifecycle,
    links,
    members,
    notices,
    openapi,
    pools,
    principals,
    problems,
    projects,
    runs,
    schedules,
    submissions,
    subscriptions,
    system,
    tickets,
    upload_parts,
    uploads,
    workers,
)
from services.api.access.bearer import bearer_key
from services.api.access.chain import Chain
from services.api.access.tickets import Tickets
from services.api.afterwards import Application
from services.api.deps import DATA_EDITOR, Parts
from services.api.edge import Edge
from services.api.etags import Tagged
from services.api.hub import EventHub
from services.api.limits import BodyLimit, Observed, UploadsNeedAKey
from services.api.rates import RateLimit
from services.api.ready import Probe
from services.api.strict import strict
from shared.artifacts import ArtifactStore
from shared.db.session import make_engine
from shared.queue.eager import Eager
from shared.settings import Settings
from shared.signing import Signer
from shared.version import VERSION

MODULES = (
    system,
    diagnostics,
    submissions,
    entities,
    events,
    runs,
    lifecycle,
    batches,
    actions,
    failures,
    files,
    uploads,
    upload_parts,
    deleting,
    projects,
    principals,
    members,
    keys,
    pools,
    tickets,
    audit_log,
    workers,
    schedules,
    campaign_views,
    campaigns,
    notices,
    channels,
    subscriptions,
    deliveries,
    inbox,
    links,
)


def _operation_id(route: APIRoute) -> str:
    """The name of the route's function: stable, and a name for a method of a generated client."""
    return route.name


def build(settings: Settings) -> FastAPI:
    """The application with its parts. Raises `UserError` for settings that an API cannot do without."""
    signer = Signer(settings.secret_keys)
    by_ticket = Tickets(signer)
    engine = make_engine(settings.database_url, pool_size=settings.database_pool_size, prepares=settings.prepares)
    eager = Eager(settings) if settings.always_eager else None
    hub = EventHub(engine, settings.direct_url, settings.event_poll_s)
    access = Chain(engine, [bearer_key, by_ticket])

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = settings.api_threads
        hub.start()
        yield
        hub.stop()
        engine.dispose()
        app.state.probe.close()
        if eager is not None:
            eager.close()

    app = Application(
        openings=settings.api_threads,  # each needs one most of the time
        title="Faultline",
        version=VERSION,
        lifespan=lifespan,
        dependencies=[Depends(strict)],
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `Observed` does that, once
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = Parts(
        settings=settings,
        engine=engine,
        store=ArtifactStore(settings.artifact_store_url, settings.s3),
        hub=hub,
        access=access,
        signer=signer,
        tickets=by_ticket,
        after_submit=eager.run_everything if eager is not None else lambda: None,
    )
    app.state.probe = Probe(settings.database_url)
    problems.install(app)
    for module in MODULES:
        app.include_router(module.router)
    app.add_middleware(
        BodyLimit, body_limit_bytes=settings.body_limit_bytes, upload_limit_bytes=settings.upload_limit_bytes
    )
    app.add_middleware(UploadsNeedAKey, check=lambda request: DATA_EDITOR.check(access.identify(request)))
    app.add_middleware(Tagged)
    app.add_middleware(RateLimit, settings=settings)
    app.add_middleware(Observed)
    app.add_middleware(Edge)
    app.openapi = cache(lambda: openapi.describe(app))  # type: ignore[method-assign]
    return app

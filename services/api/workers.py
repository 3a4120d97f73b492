"""Workers: who works here, on what, and who is to take nothing new."""

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.api.audit import audit
from services.api.deps import OperatorDep, PartsDep, SessionDep, ViewerDep
from shared.contracts.views import Page, WorkerView
from shared.errors import NotFound

router = APIRouter(prefix="/v1/workers", tags=["workers"])
_WORKERS = """
    SELECT name, pools, slots, draining OR drain_requested_at IS NOT NULL AS draining, drain_requested_at,
        draining AND heartbeat_at > coalesce(drain_requested_at, '-infinity') AS let_go, version, versions, started_at,
        heartbeat_at, heartbeat_at > now() - make_interval(secs => :lease_s) AS alive,
        coalesce(held.runs, 0) AS busy
    FROM workers LEFT JOIN (
        SELECT worker, count(*) AS runs FROM runs WHERE state = 'running' GROUP BY worker
    ) AS held ON held.worker = workers.name
"""
_ALL = text(f"{_WORKERS} ORDER BY name")
_ONE = text(f"{_WORKERS} WHERE name = :name")
_DRAIN = text("UPDATE workers SET drain_requested_at = coalesce(drain_requested_at, now()) WHERE name = :name")
_UNDRAIN = text("UPDATE workers SET drain_requested_at = NULL WHERE name = :name")


@router.get("")
def list_workers(session: SessionDep, parts: PartsDep, _identity: ViewerDep) -> Page[WorkerView]:
    """The workers that registered; one that died is shown for a while."""
    rows = session.execute(_ALL, {"lease_s": parts.settings.lease_s}).mappings()
    return Page(items=[WorkerView.model_validate(dict(row)) for row in rows])


@router.post("/{name}/drain")
def drain_worker(name: str, session: SessionDep, parts: PartsDep, identity: OperatorDep) -> WorkerView:
    """It finishes what it runs and takes nothing new from its next heartbeat on, until undrained or restarted."""
    _find(session, parts.settings.lease_s, name)
    session.execute(_DRAIN, {"name": name})
    audit(session, identity, "worker.drain", name)
    return _find(session, parts.settings.lease_s, name)


@router.post("/{name}/undrain")
def undrain_worker(name: str, session: SessionDep, parts: PartsDep, identity: OperatorDep) -> WorkerView:
    """It takes work again, from its next heartbeat on."""
    _find(session, parts.settings.lease_s, name)
    session.execute(_UNDRAIN, {"name": name})
    audit(session, identity, "worker.undrain", name)
    return _find(session, parts.settings.lease_s, name)


def _find(session: Session, lease_s: float, name: str) -> WorkerView:
    row = session.execute(_ONE, {"lease_s": lease_s, "name": name}).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no worker named {name[:60]!r}.", remedy="`faultline workers` shows who there is.")
    return WorkerView.model_validate(dict(row))

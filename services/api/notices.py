"""Notices: which kinds there are, and what an operator announces."""

from functools import partial

from fastapi import APIRouter
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import OperatorDep, SessionDep, ViewerDep
from services.api.idempotent import OnceDep
from shared.contracts.notices import NOTICES, MaintenanceNotice
from shared.contracts.notifying import KindView, MaintenanceRequest, NoticeView
from shared.db.notifying import Notice
from shared.notices.announcing import announce
from shared.notices.inbox import notice_view

router = APIRouter(prefix="/v1", tags=["notices"])
_KINDS = [
    KindView(
        name=kind.name,
        about=kind.about,
        version=kind.version,
        subscribable=kind.subscribable,
        urgent=kind.urgent,
        example=kind.payload.model_validate(kind.example).model_dump(mode="json"),
    )
    for kind in NOTICES.values()
]


@router.get("/notices/kinds")
def list_kinds(_identity: ViewerDep) -> list[KindView]:
    """All kinds of notice, each with an example of what it carries. Some come by themselves to whom they concern."""
    return _KINDS


@router.post("/maintenance", status_code=202)
def announce_maintenance(
    body: MaintenanceRequest, session: SessionDep, identity: OperatorDep, once: OnceDep
) -> NoticeView:
    """Tell everybody who has subscribed to `system.maintenance`, in all projects."""
    return once(session, identity, NoticeView, body, make=partial(_announce, session, identity, body))


def _announce(session: Session, identity: Identity, body: MaintenanceRequest) -> NoticeView:
    notice_id = announce(session, "system.maintenance", MaintenanceNotice(**body.model_dump()))
    audit(session, identity, "maintenance.announce", notice_id, **body.model_dump(mode="json"))
    return notice_view(session.get_one(Notice, notice_id))

"""Tickets for event streams."""

from fastapi import APIRouter

from services.api.access.tickets import PARAMETER
from services.api.deps import PartsDep, SessionDep, ViewerDep
from services.api.views import find_run
from shared.contracts.access import TicketRequest, TicketView

router = APIRouter(prefix="/v1/tickets", tags=["access"])


@router.post("", status_code=201)
def issue_ticket(body: TicketRequest, session: SessionDep, parts: PartsDep, identity: ViewerDep) -> TicketView:
    """A ticket for the event stream of one run, of the caller's inbox, or of the project: to be named in its address
    within a minute.
    """
    path = "/v1/inbox/events" if body.inbox else "/v1/events"
    if body.run_id is not None:
        path = f"/v1/runs/{find_run(session, identity.project_id, body.run_id).id}/events"
    ticket, expires_at = parts.tickets.issue(identity, path)
    return TicketView(ticket=ticket, url=f"{path}?{PARAMETER}={ticket}", expires_at=expires_at)

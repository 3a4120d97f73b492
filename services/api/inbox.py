"""The inbox: what I was told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.api.audit import audit
from services.api.deps import Limit, PartsDep, ReaderDep, SessionDep, StreamDep, ViewerDep
from services.api.events import EVENTS
from services.api.stream import EventStream, Mailbox
from services.api.views import page_of
from services.api.watchers import InboxWatcher
from shared.contracts.notifying import InboxCount, InboxItem, NoticeView, ReadRequest
from shared.contracts.views import Page
from shared.db.notifying import InboxEntry
from shared.notices.inbox import acknowledge, count, inbox_item, mark_read, notice_view, places_of

router = APIRouter(prefix="/v1", tags=["notices"])


@router.get("/inbox")
def list_inbox(
    session: SessionDep,
    identity: ViewerDep,
    unread: Annotated[bool, Query(description="Only what I have not read.")] = False,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Limit = 50,
) -> Page[InboxItem]:
    """What I was told in this project, newest first."""
    query = places_of(identity).order_by(InboxEntry.id.desc()).limit(limit + 1)
    if unread:
        query = query.where(InboxEntry.read_at.is_(None))
    rows = session.execute(query.where(InboxEntry.id < cursor) if cursor else query).all()
    return page_of([row[0] for row in rows], [inbox_item(row) for row in rows], limit)


@router.get("/inbox/count")
def count_inbox(session: SessionDep, identity: ViewerDep) -> InboxCount:
    """How much I have not read, and how much of that is urgent."""
    return count(session, identity)


@router.post("/inbox/read")
def read_inbox(body: ReadRequest, session: SessionDep, identity: ReaderDep) -> InboxCount:
    """Mark some as read, or all. Others' ids are passed over."""
    marked = mark_read(session, identity, None if body.all else body.ids)
    audit(session, identity, "inbox.read", identity.principal, marked=marked)
    return count(session, identity)


@router.post("/notices/{notice_id}/acknowledge")
def acknowledge_notice(notice_id: UUID, session: SessionDep, identity: ReaderDep) -> NoticeView:
    """Take it on: nobody else is called for it. Who did so first stays written down."""
    notice = acknowledge(session, identity, notice_id)
    audit(session, identity, "notice.acknowledge", notice_id, kind=notice.kind)
    return notice_view(notice)


@router.get("/inbox/events", response_class=EventStream, responses=EVENTS)
async def stream_inbox(parts: PartsDep, identity: StreamDep) -> EventStream:
    """`count` events: how much I have not read, at the start and whenever that changes."""
    watcher = InboxWatcher(Mailbox(), identity)
    parts.hub.watch(watcher)
    return EventStream(watcher.mailbox, lambda: parts.hub.forget(watcher))

"""The inbox: what one person was told, what of it was read, and what somebody has taken on."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, select, text, update
from sqlalchemy.orm import Session

from shared.contracts.notices import NOTICES
from shared.contracts.notifying import InboxCount, InboxItem, NoticeView
from shared.db.listen import INBOX_CHANNEL
from shared.db.notifying import InboxEntry, Notice
from shared.db.session import Executes
from shared.errors import Conflict, NotFound
from shared.notices.titles import title_of
from shared.runs.submit import Caller

_URGENT = sorted(name for name, kind in NOTICES.items() if kind.urgent)
_RING = text(f"SELECT pg_notify('{INBOX_CHANNEL}', CAST(:principal AS text))")
_COUNTS = text(
    """
    SELECT reader.principal_id, reader.project_id, count(i.id) AS unread,
        count(i.id) FILTER (WHERE n.kind = ANY(CAST(:urgent AS text[]))) AS urgent
    FROM unnest(CAST(:principals AS uuid[]), CAST(:projects AS uuid[])) AS reader (principal_id, project_id)
    LEFT JOIN inbox i ON i.principal_id = reader.principal_id AND i.project_id = reader.project_id
        AND i.read_at IS NULL
    LEFT JOIN notices n ON n.id = i.notice_id
    GROUP BY reader.principal_id, reader.project_id
    """
)
Reader = tuple[UUID, UUID]  #: principal and project


def counts(session: Executes, readers: Collection[Reader]) -> dict[Reader, InboxCount]:
    """How much each has not read, by one query."""
    principals, projects = zip(*readers, strict=True)
    values = {"principals": list(principals), "projects": list(projects), "urgent": _URGENT}
    rows = session.execute(_COUNTS, values).all()
    return {(row.principal_id, row.project_id): InboxCount(unread=row.unread, urgent=row.urgent) for row in rows}


def count(session: Executes, caller: Caller) -> InboxCount:
    """How much the caller has not read."""
    reader = (caller.principal_id, caller.project_id)
    return counts(session, [reader])[reader]


def places_of(caller: Caller) -> Select[InboxEntry, Notice]:
    """The caller's inbox in its project, each place with its notice."""
    return (
        select(InboxEntry, Notice)
        .join(Notice, Notice.id == InboxEntry.notice_id)
        .where(InboxEntry.principal_id == caller.principal_id, InboxEntry.project_id == caller.project_id)
    )


def inbox_item(row: Row[InboxEntry, Notice]) -> InboxItem:
    """A row of `places_of` as it is shown."""
    place, notice = row
    return InboxItem(
        id=place.id,
        notice_id=notice.id,
        kind=notice.kind,
        title=title_of(notice.kind, notice.data),
        data=notice.data,
        run_id=notice.run_id,
        at=notice.at,
        read_at=place.read_at,
        acknowledged_at=notice.acknowledged_at,
    )


def mark_read(session: Session, caller: Caller, ids: Sequence[int] | None) -> int:
    """Mark these as read, or all; ids of others are passed over. Returns how many were not read before."""
    query = update(InboxEntry).where(
        InboxEntry.principal_id == caller.principal_id,
        InboxEntry.project_id == caller.project_id,
        InboxEntry.read_at.is_(None),
    )
    if ids is not None:
        query = query.where(InboxEntry.id.in_(ids))
    return _marked(session, caller.principal_id, query)


def _marked(session: Session, principal_id: UUID, query: Any) -> int:
    marked = session.scalars(query.values(read_at=func.now()).returning(InboxEntry.id)).all()
    if marked:
        session.execute(_RING, {"principal": str(principal_id)})
    return len(marked)


def acknowledge(session: Session, caller: Caller, notice_id: UUID) -> Notice:
    """Take a notice on, once and for all whom it was told: nobody else is called for it. It counts as read then.

    Raises `NotFound` for one of another project or person, `Conflict` for one that concerns all projects.
    """
    notice = session.get(Notice, notice_id, with_for_update=True)
    if notice is None or notice.project_id not in {None, caller.project_id}:
        notice = None
    if notice is None or notice.principal_id not in {None, caller.principal_id}:
        raise NotFound(f"There is no notice {notice_id} in this project.", remedy="`GET /v1/inbox` lists yours.")
    if notice.project_id is None:
        raise Conflict("It concerns everybody, so nobody takes it on.", remedy="Mark it as read.")
    if notice.acknowledged_at is None:
        notice.acknowledged_at, notice.acknowledged_by = session.scalar(select(func.now())), caller.principal_id
        session.flush()
    mine = update(InboxEntry).where(
        InboxEntry.principal_id == caller.principal_id,
        InboxEntry.notice_id == notice_id,
        InboxEntry.read_at.is_(None),
    )
    _marked(session, caller.principal_id, mine)
    return notice


def notice_view(notice: Notice) -> NoticeView:
    """A notice as it is shown."""
    return NoticeView(
        id=notice.id,
        kind=notice.kind,
        title=title_of(notice.kind, notice.data),
        data=notice.data,
        run_id=notice.run_id,
        at=notice.at,
        acknowledged_at=notice.acknowledged_at,
        acknowledged_by=notice.acknowledged_by,
    )

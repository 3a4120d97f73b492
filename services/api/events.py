"""What happens, as it happens: the stream of one run, the stream of all runs of a project, and that as pages."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query

from services.api.deps import PartsDep, SessionDep, StreamDep, ViewerDep
from services.api.news import BEGINNING, NewsFilter, Place, checked, news_view, now, parse_place, place_of, read_news
from services.api.search import labels_of
from services.api.stream import EventStream, Mailbox, frame
from services.api.views import find_run
from services.api.watchers import NewsWatcher, RunWatcher, end_frame
from shared.contracts.states import TERMINAL
from shared.contracts.stream import ProjectEventView
from shared.contracts.views import Page
from shared.db.session import transaction

router = APIRouter(prefix="/v1", tags=["events"])
_SEQ = 2**31 - 1
_PLACE = r"^\d{1,20}\.\d{1,19}$"
#: FastAPI says of a stream that it is one text; what a client reads are its events.
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events as they happen; `schema` is that of each.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["event", "data"],
                    "properties": {
                        "event": {"type": "string", "examples": ["state", "progress", "metrics", "end"]},
                        "id": {"type": "string", "description": "To be sent as `Last-Event-ID`."},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    }
}
LastSeq = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=_SEQ)]
LastPlace = Annotated[str | None, Header(alias="Last-Event-ID", pattern=_PLACE)]


@dataclass(frozen=True)
class _Start:
    """Where a run's stream begins, and whether anything can still come."""

    after: int
    over: bool


def start_of_run(
    run_id: UUID,
    parts: PartsDep,
    identity: StreamDep,
    last_event_id: LastSeq = None,
    after: Annotated[int, Query(ge=0, le=_SEQ, description="The `seq` seen last.")] = 0,
) -> _Start:
    """Check the run before the stream opens; the header of a reconnecting browser outweighs the query."""
    with transaction(parts.engine) as session:
        run = find_run(session, identity.project_id, run_id)
        seen = min(after if last_event_id is None else last_event_id, run.event_seq)
        return _Start(seen, run.state in TERMINAL and seen >= run.event_seq)


@router.get("/runs/{run_id}/events", response_class=EventStream, responses=EVENTS)
async def stream_run(
    run_id: UUID, parts: PartsDep, identity: StreamDep, start: Annotated[_Start, Depends(start_of_run)]
) -> EventStream:
    """Everything that happened and happens to the run: `id` is the event's `seq`, and `end` closes the stream."""
    mailbox = Mailbox()
    if start.over:
        mailbox.put(end_frame(run_id))
        mailbox.close()
        return EventStream(mailbox, lambda: None)
    watcher = RunWatcher(mailbox, identity, run_id, start.after)
    parts.hub.watch(watcher)
    return EventStream(mailbox, lambda: parts.hub.forget(watcher))


class From(StrEnum):
    """Where a stream without a place begins."""

    NOW = "now"
    BEGINNING = "beginning"


@dataclass(frozen=True)
class _NewsQuery:
    """Which events of the project."""

    kind: Annotated[list[str] | None, Query(max_length=32, description="Of runs of one of these kinds.")] = None
    type: Annotated[list[str] | None, Query(max_length=32, description="`state`, `progress`, `metrics`, ...")] = None
    parent: Annotated[UUID | None, Query(description="Of children of this run.")] = None
    label: Annotated[list[str] | None, Query(max_length=32, description="`key:value` of the run; all of them.")] = None

    def wanted(self) -> NewsFilter:
        """The same as a filter of rows. Raises `UserError` for a label without a colon."""
        labels = tuple(sorted(labels_of(self.label or []).items()))
        return NewsFilter(frozenset(self.kind or ()), frozenset(self.type or ()), self.parent, labels)


def start_of_news(
    parts: PartsDep,
    _identity: StreamDep,
    last_event_id: LastPlace = None,
    after: Annotated[str | None, Query(pattern=_PLACE, description="The id seen last.")] = None,
    begin: Annotated[From, Query(alias="from", description="Where to begin without an id.")] = From.NOW,
) -> Place:
    """Where the project's stream begins; the header of a reconnecting browser outweighs the query."""
    given = last_event_id or after
    with transaction(parts.engine) as session:
        if given is not None:
            return checked(session, parse_place(given))
        return now(session) if begin == From.NOW else BEGINNING


@router.get("/events", response_class=EventStream, responses=EVENTS)
async def stream_project(
    parts: PartsDep,
    identity: StreamDep,
    query: Annotated[_NewsQuery, Depends()],
    start: Annotated[Place, Depends(start_of_news)],
) -> EventStream:
    """Everything that happens to the runs of the project, in one order, each event once.

    The first message, `start`, holds the place from which it goes on; every `id` can be sent as `Last-Event-ID`.
    """
    watcher = NewsWatcher(Mailbox(), identity, query.wanted(), start)
    first = frame("start", {"cursor": str(start)}, str(start))
    parts.hub.watch(watcher)
    return EventStream(watcher.mailbox, lambda: parts.hub.forget(watcher), first)


@router.get("/events/page")
def list_events(
    session: SessionDep,
    identity: ViewerDep,
    query: Annotated[_NewsQuery, Depends()],
    cursor: Annotated[str | None, Query(pattern=_PLACE, description="`next_cursor` or an event's `cursor`.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Page[ProjectEventView]:
    """The same events as pages, from the beginning on. There is always a next cursor: ask again with it for more.

    A page may be empty although more is to come; it is not if its `next_cursor` is the cursor that was sent.
    """
    place = checked(session, parse_place(cursor)) if cursor else BEGINNING
    wanted = query.wanted()
    rows, end, _more = read_news(session, place, [identity.project_id])
    fitting = [row for row in rows if wanted.lets_pass(row)]
    shown = fitting[:limit]
    end = place_of(shown[-1]) if len(fitting) > limit else end
    return Page(items=[news_view(row) for row in shown], next_cursor=str(end))

"""Routes about everything that happens in a project: one stream, or the same as pages."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.cli.sdk.events import Stream
from services.cli.sdk.transport import Query, Transport, parse
from shared.contracts.access import TicketRequest, TicketView
from shared.contracts.stream import ProjectEventView
from shared.contracts.views import Page

#: A server repeats at most what one connection had not yet told when it broke.
_REMEMBERED = 10_000


@dataclass(frozen=True)
class NewsFilter:
    """Which events; all that is given must hold."""

    kinds: Sequence[str] = ()  #: of runs of one of these kinds
    types: Sequence[str] = ()  #: state, progress, stage, metrics, artifact, notice
    labels: dict[str, str] = field(default_factory=dict)  #: of the run
    parent: UUID | None = None  #: of children of this run

    def query(self) -> dict[str, str | list[str] | None]:
        """As the API wants it."""
        return {
            "kind": list(self.kinds) or None,
            "type": list(self.types) or None,
            "label": [f"{name}:{value}" for name, value in self.labels.items()] or None,
            "parent": str(self.parent) if self.parent else None,
        }


class NewsCalls:
    """Follow a whole project."""

    http: Transport

    def news(
        self, wanted: NewsFilter | None = None, *, after: str | None = None, from_beginning: bool = False
    ) -> Iterator[ProjectEventView]:
        """Everything that happens from now on, or behind the cursor `after`, each event once; it does not end.

        for event in client.news(NewsFilter(types=["state"])):
            print(event.run_id, event.data["state"])
        """
        query: Query = {
            **(wanted or NewsFilter()).query(),
            "from": "beginning" if from_beginning and after is None else None,
        }
        return Stream(self.http, "/v1/events", ProjectEventView, after or "", _Unseen(), query=query).follow()

    def news_page(
        self, wanted: NewsFilter | None = None, *, cursor: str | None = None, limit: int = 200
    ) -> Page[ProjectEventView]:
        """The same events as pages, from the beginning on; ask again with `next_cursor` for more."""
        query: Query = {**(wanted or NewsFilter()).query(), "cursor": cursor, "limit": limit}
        return parse(Page[ProjectEventView], self.http.get("/v1/events/page", query))

    def ticket(self, run_id: UUID | None = None) -> TicketView:
        """Opens the stream of a run, or of the project, for a minute and without a key: for a browser's `EventSource`.

        address = client.url + client.ticket(run.id).url
        """
        body = TicketRequest(run_id=run_id).model_dump(mode="json")
        return parse(TicketView, self.http.post("/v1/tickets", body))


class _Unseen:
    """Whether an event of any run is new."""

    def __init__(self) -> None:
        self._seen: set[tuple[UUID, int]] = set()
        self._order: deque[tuple[UUID, int]] = deque()

    def __call__(self, event: ProjectEventView) -> bool:
        """Take note of an event."""
        name = (event.run_id, event.seq)
        if name in self._seen:
            return False
        self._seen.add(name)
        self._order.append(name)
        if len(self._order) > _REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True

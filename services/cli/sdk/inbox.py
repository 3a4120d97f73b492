"""Routes about deliveries and the inbox: what was told, and what became of it."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from services.cli.sdk.events import Stream
from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Query, Transport, parse
from shared.contracts.notifying import (
    DeliveryDetail,
    DeliveryView,
    InboxCount,
    InboxItem,
    NoticeView,
    ReadRequest,
    ReplayRequest,
    ReplayView,
)
from shared.contracts.views import Page


class DeliveryCalls:
    """What is on its way, what arrived, and what did not."""

    http: Transport

    def deliveries(
        self,
        limit: int = 50,
        *,
        states: Sequence[str] = (),
        channel: str | None = None,
        run: UUID | None = None,
        kinds: Sequence[str] = (),
    ) -> list[DeliveryView]:
        """Deliveries to the channels of the project, newest first. What was given up is `dead`."""
        query: Query = {
            "state": list(states) or None,
            "channel": channel,
            "run": str(run) if run else None,
            "kind": list(kinds) or None,
        }
        return pages(self.http, "/v1/deliveries", Page[DeliveryView], limit, query)

    def delivery(self, delivery_id: UUID) -> DeliveryDetail:
        """One delivery with what was sent and what each attempt was answered."""
        return parse(DeliveryDetail, self.http.get(f"/v1/deliveries/{delivery_id}"))

    def replay(self, delivery_id: UUID) -> DeliveryView:
        """Send it again under the same id. Raises `ApiConflict` for one that is on its way."""
        return parse(DeliveryView, self.http.post(f"/v1/deliveries/{delivery_id}/replay"))

    def replay_dead(self, channel: str) -> ReplayView:
        """Send again all that a channel did not take."""
        body = ReplayRequest(channel=channel).model_dump(mode="json")
        return parse(ReplayView, self.http.post("/v1/deliveries/replay", body))


class InboxCalls:
    """What the caller was told."""

    http: Transport

    def inbox(self, limit: int = 50, *, unread: bool = False) -> list[InboxItem]:
        """What the caller was told, newest first."""
        return pages(self.http, "/v1/inbox", Page[InboxItem], limit, {"unread": "true" if unread else None})

    def inbox_count(self) -> InboxCount:
        """How much the caller has not read."""
        return parse(InboxCount, self.http.get("/v1/inbox/count"))

    def inbox_counts(self) -> Iterator[InboxCount]:
        """The same at once and whenever it changes; it does not end."""
        return Stream(self.http, "/v1/inbox/events", InboxCount, "", lambda _: True).follow()

    def read_inbox(self, ids: Sequence[int] | None = None) -> InboxCount:
        """Mark some as read, or all."""
        body = ReadRequest(all=True) if ids is None else ReadRequest(ids=list(ids))
        return parse(InboxCount, self.http.post("/v1/inbox/read", body.model_dump(mode="json")))

    def acknowledge(self, notice_id: UUID) -> NoticeView:
        """Take a notice on: nobody else is called for it."""
        return parse(NoticeView, self.http.post(f"/v1/notices/{notice_id}/acknowledge"))

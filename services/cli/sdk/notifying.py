"""Routes about channels and subscriptions: who is told what, where and when."""

from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse, segment
from shared.contracts.notifying import (
    ChannelMade,
    ChannelRequest,
    ChannelView,
    DeliveryView,
    EmailTarget,
    KindView,
    MaintenanceRequest,
    NoticeView,
    SubscriptionChange,
    SubscriptionRequest,
    SubscriptionView,
)
from shared.contracts.views import Page

_KINDS = TypeAdapter(list[KindView])


class ChannelCalls:
    """Make, try and remove channels."""

    http: Transport

    def channels(self, limit: int = 50) -> list[ChannelView]:
        """The channels of the project, newest first."""
        return pages(self.http, "/v1/channels", Page[ChannelView], limit)

    def channel(self, ref: str) -> ChannelView:
        """One channel by id or name, and how it does."""
        return parse(ChannelView, self.http.get(f"/v1/channels/{segment(ref)}"))

    def create_channel(self, request: ChannelRequest) -> ChannelMade:
        """Make a channel. The secret of a webhook is in this answer only. Raises `ApiConflict` for a taken name.

        made = client.create_channel(ChannelRequest(name="ops", target=WebhookTarget(url="https://example.org/hook")))
        """
        body = request.model_dump(mode="json", exclude_none=True)
        if not isinstance(request.target, EmailTarget):
            body["target"]["url"] = request.target.url.get_secret_value()
        return parse(ChannelMade, self.http.post("/v1/channels", body))

    def delete_channel(self, ref: str) -> None:
        """Remove a channel with all subscriptions that lead to it."""
        self.http.delete(f"/v1/channels/{segment(ref)}")

    def test_channel(self, ref: str) -> DeliveryView:
        """Send a notice of kind `test` there; `delivery(id)` shows what came of it."""
        return parse(DeliveryView, self.http.post(f"/v1/channels/{segment(ref)}/test"))

    def enable_channel(self, ref: str) -> ChannelView:
        """Let a channel that failed, or was switched off, be tried again."""
        return parse(ChannelView, self.http.post(f"/v1/channels/{segment(ref)}/enable"))

    def rotate_channel(self, ref: str, *, drop_old: bool = False) -> ChannelMade:
        """A new secret that signs beside the old one; with `drop_old` none is made, and only the newest signs."""
        query = {"drop_old": "true" if drop_old else None}
        return parse(ChannelMade, self.http.post(f"/v1/channels/{segment(ref)}/rotate", query=query))


class SubscriptionCalls:
    """Subscribe, and change what one is told."""

    http: Transport

    def notice_kinds(self) -> list[KindView]:
        """All kinds of notice, each with an example."""
        return _KINDS.validate_json(self.http.get("/v1/notices/kinds").content)

    def subscriptions(self, limit: int = 50, *, everybody: bool = False) -> list[SubscriptionView]:
        """The caller's, newest first; to an admin those of everybody."""
        query = {"all": "true" if everybody else None}
        return pages(self.http, "/v1/subscriptions", Page[SubscriptionView], limit, query)

    def subscription(self, subscription_id: UUID) -> SubscriptionView:
        """One subscription."""
        return parse(SubscriptionView, self.http.get(f"/v1/subscriptions/{subscription_id}"))

    def subscribe(self, request: SubscriptionRequest) -> SubscriptionView:
        """Tell the caller of these kinds of notice from now on.

        client.subscribe(SubscriptionRequest(kinds=["run.failed"], channel="ops", filter=Filter(labels={"line": "4"})))
        """
        body = request.model_dump(mode="json", exclude_none=True)
        return parse(SubscriptionView, self.http.post("/v1/subscriptions", body))

    def change_subscription(self, subscription_id: UUID, **changes: Any) -> SubscriptionView:
        """Change some fields of `SubscriptionChange`; the others stay.

        client.change_subscription(id, muted_until=datetime.now(UTC) + timedelta(hours=2))
        """
        body = SubscriptionChange(**changes).model_dump(mode="json", include=set(changes))
        return parse(SubscriptionView, self.http.patch(f"/v1/subscriptions/{subscription_id}", body))

    def unsubscribe(self, subscription_id: UUID) -> None:
        """Tell nothing more of it."""
        self.http.delete(f"/v1/subscriptions/{subscription_id}")

    def announce_maintenance(self, request: MaintenanceRequest) -> NoticeView:
        """Tell everybody who has subscribed to `system.maintenance`, in all projects. For operators."""
        return parse(NoticeView, self.http.post("/v1/maintenance", request.model_dump(mode="json")))

"""Who is told what, where and when: channels, subscriptions, deliveries, inbox."""

from datetime import datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, field_serializer, model_validator

from shared.contracts.base import Contract, View
from shared.contracts.instants import Instant
from shared.contracts.notices import ALIASES, SUBSCRIBABLE, subscribable
from shared.contracts.schedules import ScheduleName, Zone
from shared.contracts.views import LabelKey, LabelValue
from shared.errors import UserError

#: steps of the notifier
DELIVER = "notification.deliver"
Every = Literal["hour", "day", "week"]
Weekday = Annotated[int, Field(ge=0, le=6)]  #: 0 is Monday
Share = Annotated[float, Field(gt=0, le=1)]
Address = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,189}$")
]


def _of_a_wall(at: time) -> time:
    """What clocks on walls show has no zone of its own."""
    if at.tzinfo is not None:
        raise ValueError("leave out the zone: it is that of the subscription")
    return at


WallTime = Annotated[time, AfterValidator(_of_a_wall)]
DeliveryState = Literal["held", "pending", "sending", "delivered", "dead", "dropped"]


class WebhookTarget(Contract):
    """A POST of JSON, signed after the Standard Webhooks specification."""

    type: Literal["webhook"] = "webhook"
    url: SecretStr = Field(max_length=2000)


class EmailTarget(Contract):
    """Mail through the server of the settings."""

    type: Literal["email"] = "email"
    to: list[Address] = Field(min_length=1, max_length=20)


class ChatTarget(Contract):
    """Slack, Microsoft Teams, Discord, Telegram, PagerDuty, ... by the address that Apprise knows."""

    type: Literal["chat"] = "chat"
    url: SecretStr = Field(max_length=2000)  #: `slack://...`, `tgram://...`, or the service's own https address


Target = Annotated[WebhookTarget | EmailTarget | ChatTarget, Field(discriminator="type")]
TargetType = Literal["webhook", "email", "chat"]


class ChannelRequest(Contract):
    """Where something can be told."""

    name: ScheduleName
    target: Target
    #: at most so many, at least one in 16 hours; default: what the service allows
    per_minute: float | None = Field(None, ge=0.001, le=60_000)


class ChannelView(View):
    """A channel. What is secret of it is never shown again."""

    id: UUID
    name: str
    type: TargetType
    service: str  #: webhook, email, slack, msteams, ...
    shown: str  #: its address without what is secret
    per_minute: float
    state: Literal["enabled", "failing", "disabled"]
    failures: int  #: in a row
    last_error: str | None
    retry_at: datetime | None  #: while it fails: nothing is sent before
    created_by: UUID
    created_at: datetime


class ChannelMade(ChannelView):
    """A channel as it is shown once, with what its receiver verifies signatures with."""

    secret: str | None = None  #: of a webhook: `whsec_...`


class Filter(Contract):
    """Which of the notices; all that is given must hold."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=32)
    run_kinds: list[Annotated[str, StringConstraints(max_length=60)]] = Field(default_factory=list, max_length=32)
    model_types: list[Annotated[str, StringConstraints(max_length=60)]] = Field(default_factory=list, max_length=32)
    mine: bool = False  #: only of runs that I started
    children: bool = False  #: also of the children of batches and campaigns
    progress_at: Share = 0.5  #: of `run.progress`
    accuracy_at: Share = 0.95  #: of `accuracy.milestone`


class Digest(Contract):
    """Collected and sent as one."""

    every: Every
    at: WallTime = time(9)  #: local; of `day` and `week`
    weekday: Weekday = 0


class Quiet(Contract):
    """Nothing is sent between these local times; what came meanwhile is sent when they end."""

    begin: WallTime
    end: WallTime


class Escalation(Contract):
    """If nobody acknowledges in time, another channel is told too."""

    after_minutes: int = Field(ge=1, le=10_080)
    channel: str = Field(max_length=63)  #: name or id


def _known(kinds: list[str]) -> list[str]:
    """`*` is all of them; `run.*` those that begin so."""
    found: list[str] = []
    for kind in kinds:
        if kind == "*" or kind.endswith(".*"):
            some = [name for name in SUBSCRIBABLE if name.startswith(kind[:-1])]
            if not some:
                raise ValueError(f"no notice begins with {kind[:-1]!r}")
            found += some
        else:
            try:
                found.append(subscribable(kind))
            except UserError as error:
                raise ValueError(f"{error.message} {error.remedy}") from error
    return list(dict.fromkeys(found))


Kinds = Annotated[
    list[Annotated[str, StringConstraints(max_length=60)]], Field(min_length=1, max_length=64), AfterValidator(_known)
]


class SubscriptionRequest(Contract):
    """Tell me of these."""

    kinds: Kinds
    channel: str | None = Field(None, max_length=63)  #: name or id; null: my inbox
    filter: Filter = Filter()
    digest: Digest | None = None  #: null: at once
    quiet: Quiet | None = None
    timezone: Zone = "UTC"
    escalation: Escalation | None = None
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _translate(cls, given: Any) -> Any:
        """Names of other systems become ours, with the kinds of run that they mean."""
        if not isinstance(given, dict) or not isinstance(given.get("kinds"), list):
            return given
        named = [kind for kind in given["kinds"] if isinstance(kind, str) and kind in ALIASES]
        if not named:
            return given
        if len(named) != len(given["kinds"]) or len({ALIASES[name].run_kinds for name in named}) != 1:
            raise ValueError(f"{', '.join(named)}: subscribe to these and to other notices one after the other")
        kinds = [kind for name in named for kind in ALIASES[name].kinds]
        narrowed = dict(given.get("filter") or {})
        if run_kinds := ALIASES[named[0]].run_kinds:
            narrowed.setdefault("run_kinds", list(run_kinds))
        return {**given, "kinds": kinds, "filter": narrowed}

    @model_validator(mode="after")
    def _sensible(self) -> "SubscriptionRequest":
        if self.channel is None and (self.digest or self.quiet):
            raise ValueError("channel: the inbox makes no sound; a digest and quiet hours need a channel")
        if self.digest is not None and (self.quiet or self.escalation):
            raise ValueError("digest: it comes at its own time; leave out quiet and escalation")
        return self


class SubscriptionChange(Contract):
    """What is to be different; a field that is not sent stays."""

    kinds: Kinds | None = None
    filter: Filter | None = None
    digest: Digest | None = None
    quiet: Quiet | None = None
    timezone: Zone | None = None
    escalation: Escalation | None = None
    enabled: bool | None = None
    muted_until: Instant | None = None  #: nothing is told until then; null: unmuted


class SubscriptionView(View):
    """Who is told what, where and when."""

    id: UUID
    principal_id: UUID
    kinds: list[str]
    channel_id: UUID | None
    channel: str | None  #: its name; null: the inbox
    filter: Filter
    digest: Digest | None
    quiet: Quiet | None
    timezone: str
    escalation: Escalation | None
    enabled: bool
    muted_until: datetime | None
    next_digest_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @field_serializer("digest", "quiet")
    def _plain(self, value: Contract | None) -> Any:
        return None if value is None else value.model_dump(mode="json")


class AttemptView(View):
    """One attempt to deliver."""

    attempt: int
    at: datetime
    ok: bool
    status: int | None  #: of HTTP or SMTP, as it was answered
    latency_ms: float
    error: str | None
    excerpt: str  #: the beginning of the answer


class DeliveryView(View):
    """One notice on its way to one channel."""

    id: UUID  #: also the `webhook-id`
    notice_id: UUID
    kind: str
    run_id: UUID | None
    channel_id: UUID
    channel: str
    subscription_id: UUID | None  #: null: a test
    state: DeliveryState
    attempts: int
    due_at: datetime
    created_at: datetime
    delivered_at: datetime | None
    last_error: str | None
    reason: str | None  #: why it waits, was dropped or was given up


class DeliveryDetail(DeliveryView):
    """With what was sent and what was answered."""

    request: dict[str, Any]  #: the body
    log: list[AttemptView]


class InboxItem(View):
    """One notice for one person."""

    id: int
    notice_id: UUID
    kind: str
    title: str
    data: dict[str, Any]
    run_id: UUID | None
    at: datetime
    read_at: datetime | None
    acknowledged_at: datetime | None


class InboxCount(View):
    """How much is unread."""

    unread: int
    urgent: int


class ReplayRequest(Contract):
    """Send again what a channel did not take."""

    channel: str = Field(max_length=63)  #: name or id


class ReplayView(View):
    """How many are sent again."""

    replayed: int


class ReadRequest(Contract):
    """Which places of the inbox have been read: some, or all."""

    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(default_factory=list, max_length=1000)
    all: bool = False

    @model_validator(mode="after")
    def _either(self) -> "ReadRequest":
        if self.all == bool(self.ids):
            raise ValueError("ids: name some, or say `all`")
        return self


class NoticeView(View):
    """What was told."""

    id: UUID
    kind: str
    title: str
    data: dict[str, Any]
    run_id: UUID | None
    at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: UUID | None


class MaintenanceRequest(Contract):
    """Tell everybody of work on the platform."""

    message: str = Field(min_length=1, max_length=2000)
    begins_at: Instant | None = None
    ends_at: Instant | None = None

    @model_validator(mode="after")
    def _forwards(self) -> "MaintenanceRequest":
        if self.begins_at and self.ends_at and self.ends_at <= self.begins_at:
            raise ValueError("ends_at: it ends before it begins")
        return self


class KindView(View):
    """One kind of notice."""

    name: str
    about: str
    version: int
    subscribable: bool
    urgent: bool
    example: dict[str, Any]

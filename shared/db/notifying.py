"""The tables of notices: what is told, to whom, where, and what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import NOW, Base, Xid8


class NewsPlace(Base):
    """How far a follower has read the events of all runs. There is one row; its lock makes one follower at a time."""

    __tablename__ = "news_places"
    name: Mapped[str] = mapped_column(primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8)
    id: Mapped[int] = mapped_column(BigInteger)


class Notice(Base):
    """One thing that is told. Its id follows from what it is about, so that it is told once."""

    __tablename__ = "notices"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"))  #: null: it concerns all
    #: whom it concerns alone
    principal_id: Mapped[UUID | None] = mapped_column(ForeignKey("principals.id"))
    kind: Mapped[str]
    version: Mapped[int]
    data: Mapped[dict[str, Any]]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    traceparent: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[UUID | None] = mapped_column(ForeignKey("principals.id"))
    spread_at: Mapped[datetime | None]  #: those who subscribed have been found
    __table_args__ = (
        Index("notices_by_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        Index("notices_to_spread", "at", postgresql_where=text("spread_at IS NULL")),
        Index("notices_by_age", "at"),
    )


class Channel(Base):
    """Where something can be told; also what is known of how its receiver does."""

    __tablename__ = "channels"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    name: Mapped[str]
    type: Mapped[str]  #: webhook, email or chat
    service: Mapped[str]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  #: address and secrets, bound to the id
    shown: Mapped[str]
    per_minute: Mapped[float]
    free_at: Mapped[datetime] = mapped_column(server_default=NOW)  #: when the next one may be sent
    failures: Mapped[int] = mapped_column(server_default=text("0"))  #: in a row
    failing_since: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]  #: while it fails: nothing is sent before
    last_error: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (UniqueConstraint("project_id", "name"),)


class Subscription(Base):
    """One wish of one principal in one project."""

    __tablename__ = "subscriptions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    channel_id: Mapped[UUID | None] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))  #: null: the inbox
    kinds: Mapped[list[str]]
    filter: Mapped[dict[str, Any]]
    digest: Mapped[dict[str, Any] | None]
    quiet: Mapped[dict[str, Any] | None]
    timezone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    escalate_after_s: Mapped[int | None]
    escalate_to: Mapped[UUID | None] = mapped_column(ForeignKey("channels.id", ondelete="SET NULL"))
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    muted_until: Mapped[datetime | None]
    next_digest_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        Index("subscriptions_by_project", "project_id", postgresql_where=text("enabled")),
        Index("subscriptions_by_channel", "channel_id", postgresql_where=text("channel_id IS NOT NULL")),
        Index("subscriptions_due", "next_digest_at", postgresql_where=text("next_digest_at IS NOT NULL")),
    )


class Delivery(Base):
    """One notice on its way to one channel. Its id is the `webhook-id`."""

    __tablename__ = "deliveries"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notices.id", ondelete="CASCADE"))
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    subscription_id: Mapped[UUID | None] = mapped_column(ForeignKey("subscriptions.id", ondelete="CASCADE"))
    escalates: Mapped[bool] = mapped_column(server_default=text("false"))  #: only while nobody has acknowledged
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(server_default=NOW)
    paced: Mapped[bool] = mapped_column(server_default=text("false"))  #: `due_at` is its turn within the rate
    rung_at: Mapped[datetime | None]  #: a worker was called
    lease_expires_at: Mapped[datetime | None]
    give_up_at: Mapped[datetime | None]  #: set with the first attempt
    reason: Mapped[str | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    delivered_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("notice_id", "channel_id", "subscription_id"),
        Index("deliveries_due", "due_at", postgresql_where=text("state IN ('pending', 'sending')")),
        Index("deliveries_held", "subscription_id", postgresql_where=text("state = 'held'")),
        Index("deliveries_by_channel", "channel_id", "id"),
        Index("deliveries_dead", "channel_id", "id", postgresql_where=text("state = 'dead'")),
        Index("deliveries_by_subscription", "subscription_id"),
    )


class DeliveryAttempt(Base):
    """One attempt to deliver and what was answered."""

    __tablename__ = "delivery_attempts"
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    ok: Mapped[bool]
    status: Mapped[int | None]
    latency_ms: Mapped[float]
    error: Mapped[str | None]
    excerpt: Mapped[str] = mapped_column(server_default=text("''"))


class InboxEntry(Base):
    """One notice for one person."""

    __tablename__ = "inbox"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notices.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    read_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("principal_id", "notice_id", "project_id"),
        Index("inbox_by_reader", "principal_id", "project_id", "id"),
        Index("inbox_unread", "principal_id", "project_id", postgresql_where=text("read_at IS NULL")),
        Index("inbox_by_notice", "notice_id"),
    )


class UsedLink(Base):
    """A link that works once and was used."""

    __tablename__ = "used_links"
    nonce: Mapped[str] = mapped_column(primary_key=True)
    used_at: Mapped[datetime] = mapped_column(server_default=NOW)

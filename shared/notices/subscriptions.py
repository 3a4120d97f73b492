"""Rows of subscriptions: who is told what, where and when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.orm import Session, aliased

from shared.contracts.instants import zone_named
from shared.contracts.kinds import kind_named
from shared.contracts.notifying import Digest, Escalation, Filter, Quiet, SubscriptionRequest, SubscriptionView
from shared.db.notifying import Channel, Delivery, Subscription
from shared.errors import NotFound, UserError
from shared.notices.channels import find_channel
from shared.notices.few import must_be_fewer
from shared.notices.times import next_digest
from shared.runs.submit import Caller
from shared.settings import Settings

_Escalation = aliased(Channel)


def subscriptions_of(caller: Caller, *, everybody: bool = False) -> Select[Subscription, str, str]:
    """The caller's in its project, or those of all, each with the names of its channels."""
    query = (
        select(Subscription, Channel.name, _Escalation.name)
        .outerjoin(Channel, Channel.id == Subscription.channel_id)
        .outerjoin(_Escalation, _Escalation.id == Subscription.escalate_to)
        .where(Subscription.project_id == caller.project_id)
    )
    return query if everybody else query.where(Subscription.principal_id == caller.principal_id)


def find_subscription(
    session: Session, caller: Caller, subscription_id: UUID, *, everybody: bool = False, lock: bool = False
) -> Row[Subscription, str, str]:
    """A row of `subscriptions_of`. Raises `NotFound`."""
    query = subscriptions_of(caller, everybody=everybody).where(Subscription.id == subscription_id)
    found = session.execute(query.with_for_update(of=Subscription) if lock else query).one_or_none()
    if found is None:
        raise NotFound(
            f"You have no subscription {subscription_id} in this project.",
            remedy="`GET /v1/subscriptions` lists yours; an admin sees those of all with `?all=true`.",
        )
    return found


def subscription_view(row: Row[Subscription, str, str]) -> SubscriptionView:
    """A row of `subscriptions_of` as it is shown."""
    subscription, channel, escalates_to = row
    same = ("id", "principal_id", "kinds", "channel_id", "timezone", "enabled", "muted_until", "next_digest_at")
    return SubscriptionView(
        **{field: getattr(subscription, field) for field in (*same, "created_at", "updated_at")},
        channel=channel,
        filter=Filter.stored(subscription.filter),
        digest=Digest.stored(subscription.digest) if subscription.digest else None,
        quiet=Quiet.stored(subscription.quiet) if subscription.quiet else None,
        escalation=_escalation(subscription, escalates_to),
    )


def _escalation(subscription: Subscription, channel: str | None) -> Escalation | None:
    if channel is None or subscription.escalate_after_s is None:
        return None
    return Escalation(after_minutes=subscription.escalate_after_s // 60, channel=channel)


def check_count(session: Session, settings: Settings, caller: Caller) -> None:
    """Whether the caller may have one more. Raises `Conflict`."""
    mine = (Subscription.project_id == caller.project_id, Subscription.principal_id == caller.principal_id)
    must_be_fewer(session, Subscription.id, settings.notify_most_subscriptions, "subscriptions of yours", *mine)


def settle(session: Session, subscription: Subscription, wanted: SubscriptionRequest, now: datetime) -> None:
    """Write down what is wanted, and find when its next digest comes.

    Raises `UserError` for a zone or a kind of run that there is not, or an escalation to where it is told anyway;
    `NotFound` for a channel.
    """
    zone_named(wanted.timezone)
    for kind in wanted.filter.run_kinds:
        kind_named(kind)
    project_id = subscription.project_id
    channel = None if wanted.channel is None else find_channel(session, project_id, wanted.channel)
    subscription.channel_id = None if channel is None else channel.id
    subscription.kinds = list(wanted.kinds)
    subscription.filter = wanted.filter.model_dump(mode="json")
    subscription.digest = None if wanted.digest is None else wanted.digest.model_dump(mode="json")
    subscription.quiet = None if wanted.quiet is None else wanted.quiet.model_dump(mode="json")
    subscription.timezone = wanted.timezone
    subscription.enabled = wanted.enabled
    _escalate(session, subscription, wanted.escalation)
    subscription.next_digest_at = _next(wanted, now)
    subscription.updated_at = now
    if wanted.digest is None and subscription.id is not None:
        _release(session, subscription.id)


def _escalate(session: Session, subscription: Subscription, escalation: Escalation | None) -> None:
    if escalation is None:
        subscription.escalate_after_s = subscription.escalate_to = None
        return
    channel = find_channel(session, subscription.project_id, escalation.channel)
    if channel.id == subscription.channel_id:
        raise UserError(
            f"escalation: {channel.name!r} is told at once already.", remedy="Name another channel, or leave it out."
        )
    subscription.escalate_after_s, subscription.escalate_to = 60 * escalation.after_minutes, channel.id


def _next(wanted: SubscriptionRequest, now: datetime) -> datetime | None:
    digest = wanted.digest
    if digest is None or not wanted.enabled:
        return None
    return next_digest(digest.every, digest.at, digest.weekday, wanted.timezone, now)


def _release(session: Session, subscription_id: UUID) -> None:
    """What was kept for a digest that comes no more is sent by itself."""
    held = update(Delivery).where(Delivery.subscription_id == subscription_id, Delivery.state == "held")
    session.execute(held.values(state="pending", reason=None))


def stop(session: Session, subscription_id: UUID) -> None:
    """Tell nothing more of it, not even what is on its way; it can be enabled again."""
    session.execute(
        update(Subscription)
        .where(Subscription.id == subscription_id)
        .values(enabled=False, next_digest_at=None, updated_at=func.now())
    )
    session.execute(
        update(Delivery)
        .where(Delivery.subscription_id == subscription_id, Delivery.state.in_(("pending", "held")))
        .values(state="dropped", reason="unsubscribed")
    )

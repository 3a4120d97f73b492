"""Rows of deliveries: shown, sent again, and one that only tries a channel."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, true, update
from sqlalchemy.orm import Session
from uuid6 import uuid7

from shared.contracts.notices import TestNotice
from shared.contracts.notifying import AttemptView, DeliveryDetail, DeliveryView
from shared.db.notifying import Channel, Delivery, DeliveryAttempt, Notice
from shared.errors import Conflict, NotFound
from shared.notices.announcing import announce

_OPEN = frozenset({"pending", "sending"})
#: at once, on its own clock of giving up, and as if nobody had been called for it
_AGAIN: dict[str, Any] = {
    "state": "pending",
    "due_at": func.now(),
    "give_up_at": None,
    "reason": None,
    "rung_at": None,
    "lease_expires_at": None,
    "paced": False,
    "delivered_at": None,
}


def deliveries_of(project_id: UUID) -> Select[Delivery, Notice, str]:
    """Those to channels of a project, each with its notice and the name of its channel."""
    return (
        select(Delivery, Notice, Channel.name)
        .join(Notice, Notice.id == Delivery.notice_id)
        .join(Channel, Channel.id == Delivery.channel_id)
        .where(Channel.project_id == project_id)
    )


def newest(
    session: Session,
    project_id: UUID,
    most: int,
    channels: Sequence[ColumnElement[bool]],
    deliveries: Sequence[ColumnElement[bool]],
) -> Sequence[UUID]:
    """Ids of the newest to these channels of a project, of those that fulfil all `deliveries`.

    The newest of each channel are read by its index, and not what other projects have.
    """
    each = (
        select(Delivery.id)
        .join(Notice, Notice.id == Delivery.notice_id)
        .where(Delivery.channel_id == Channel.id, *deliveries)
        .order_by(Delivery.id.desc())
        .limit(most)
        .correlate(Channel)
        .lateral()
    )
    query = select(each.c.id).select_from(Channel).join(each, true())
    query = query.where(Channel.project_id == project_id, *channels)
    return session.scalars(query.order_by(each.c.id.desc()).limit(most)).all()


def find_delivery(
    session: Session, project_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Row[Delivery, Notice, str]:
    """A row of `deliveries_of`. Raises `NotFound`."""
    query = deliveries_of(project_id).where(Delivery.id == delivery_id)
    found = session.execute(query.with_for_update(of=Delivery) if lock else query).one_or_none()
    if found is None:
        raise NotFound(
            f"There is no delivery {delivery_id} in this project.", remedy="`GET /v1/deliveries` lists them."
        )
    return found


def delivery_view(row: Row[Delivery, Notice, str]) -> DeliveryView:
    """A row of `deliveries_of` as it is shown."""
    delivery, notice, channel = row
    return DeliveryView(
        id=delivery.id,
        notice_id=notice.id,
        kind=notice.kind,
        run_id=notice.run_id,
        channel_id=delivery.channel_id,
        channel=channel,
        subscription_id=delivery.subscription_id,
        state=delivery.state,
        attempts=delivery.attempts,
        due_at=delivery.due_at,
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
        last_error=delivery.last_error,
        reason=delivery.reason,
    )


def delivery_detail(row: Row[Delivery, Notice, str], attempts: Sequence[DeliveryAttempt]) -> DeliveryDetail:
    """The same with what was sent and what was answered."""
    notice = row[1]
    fields = set(AttemptView.model_fields)
    return DeliveryDetail(
        **delivery_view(row).model_dump(),
        request=told(notice.kind, notice.at, notice.data),
        log=[AttemptView(**{field: getattr(attempt, field) for field in fields}) for attempt in attempts],
    )


def told(kind: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """What a receiver is told: the same at every attempt."""
    return {"type": kind, "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "data": data}


def try_channel(session: Session, channel: Channel, asked_by: str) -> UUID:
    """Ask for the delivery of a test; its id. Raises `Conflict` for a channel that is switched off."""
    must_be_on(channel)
    data = TestNotice(channel=channel.name, asked_by=asked_by)
    notice_id = announce(session, "test", data, project_id=channel.project_id, spread=True)
    delivery = Delivery(id=uuid7(), notice_id=notice_id, channel_id=channel.id, state="pending")
    session.add(delivery)
    session.flush()
    return delivery.id


def must_be_on(channel: Channel) -> None:
    """Raises `Conflict` for a channel that is switched off: nothing would get through."""
    if channel.disabled_at is not None:
        raise Conflict(
            f"The channel {channel.name!r} is switched off: {channel.last_error or 'nothing got through for long'}.",
            remedy="Enable it first.",
        )


def replay(session: Session, delivery: Delivery) -> None:
    """Send again. Raises `Conflict` for one that is on its way or waits for a digest, or whose channel is off."""
    must_be_on(session.get_one(Channel, delivery.channel_id))
    if delivery.state in _OPEN:
        raise Conflict(f"The delivery is {delivery.state} already.", remedy="Wait for what becomes of it.")
    if delivery.state == "held":
        raise Conflict("The delivery waits for its digest.", remedy="Wait for the digest.")
    session.execute(update(Delivery).where(Delivery.id == delivery.id).values(_AGAIN))


def replay_dead(session: Session, channel_id: UUID) -> int:
    """Send again all that a channel did not take. Returns how many. Raises `Conflict` for a channel that is off."""
    must_be_on(session.get_one(Channel, channel_id))
    dead = update(Delivery).where(Delivery.channel_id == channel_id, Delivery.state == "dead").values(_AGAIN)
    return len(session.scalars(dead.returning(Delivery.id)).all())

"""Channels: where something can be told."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, EditorDep, Limit, Parts, PartsDep, SessionDep, ViewerDep
from services.api.etags import IfMatchDep, tag_of_view
from services.api.idempotent import Once, OnceDep
from services.api.views import page_of
from shared.contracts.notifying import ChannelMade, ChannelRequest, ChannelView, DeliveryView, EmailTarget, Target
from shared.contracts.views import Page
from shared.db.notifying import Channel, Subscription
from shared.errors import Conflict
from shared.notices.channels import (
    add_secret,
    channel_view,
    drop_old_secrets,
    enable_channel,
    find_channel,
    make_channel,
    secrets_of,
)
from shared.notices.deliveries import delivery_view, find_delivery, try_channel

router = APIRouter(prefix="/v1/channels", tags=["notices"])
#: The rest changes by itself, with each delivery.
_BY_PEOPLE = frozenset({"id", "name", "type", "service", "shown", "per_minute", "created_by", "created_at"})
#: Whoever has lost an answer asks again at once; later a secret is not shown again.
_SHOWN_AGAIN = timedelta(minutes=10)


class _Kept(BaseModel):
    """What is kept of an answer that held a secret."""

    channel: ChannelView
    at: datetime
    shown: bool  #: it held one


@router.get("")
def list_channels(
    session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50
) -> Page[ChannelView]:
    """Newest first. Nothing of them is secret."""
    query = select(Channel).where(Channel.project_id == identity.project_id).order_by(Channel.id.desc())
    rows = session.scalars((query.where(Channel.id < cursor) if cursor else query).limit(limit + 1)).all()
    return page_of(rows, [channel_view(row) for row in rows], limit)


@router.post("", status_code=201, name="make_channel")
def make(
    body: ChannelRequest, response: Response, session: SessionDep, parts: PartsDep, identity: EditorDep, once: OnceDep
) -> ChannelMade:
    """Make a channel. The secret by which the receiver of a webhook knows our signature is shown in this answer only;
    a repeat under the same `Idempotency-Key` shows it again for ten minutes.
    """
    before = once.before(session, identity, _Kept, body, _address(body.target))
    if before is None:
        channel = make_channel(session, parts.settings, identity, body)
        audit(session, identity, "channel.create", channel.id, name=channel.name, service=channel.service)
        made = _made(session, parts, identity, once, channel, shown=channel.type == "webhook")
    else:
        made = _again(session, parts, identity, before)
    response.headers["Location"] = f"/v1/channels/{made.id}"
    return made


def _address(target: Target) -> str:
    """What tells two requests apart and is hidden where they are written down."""
    return ",".join(target.to) if isinstance(target, EmailTarget) else target.url.get_secret_value()


def _made(
    session: Session, parts: Parts, identity: Identity, once: Once, channel: Channel, *, shown: bool
) -> ChannelMade:
    view = channel_view(channel)
    once.keep(session, identity, _Kept(channel=view, at=datetime.now(UTC), shown=shown))
    secret = secrets_of(parts.settings, channel)[0] if shown else None
    return ChannelMade(**view.model_dump(), secret=secret)


def _again(session: Session, parts: Parts, identity: Identity, kept: _Kept) -> ChannelMade:
    """The answer to a repeat. Raises `NotFound` for a channel that is gone, `Conflict` for a secret shown long ago."""
    channel = find_channel(session, identity.project_id, str(kept.channel.id))
    if not kept.shown:
        return ChannelMade(**kept.channel.model_dump())
    if datetime.now(UTC) - kept.at > _SHOWN_AGAIN:
        raise Conflict(
            "This request has been carried out, and its secret is not shown again.",
            remedy="If the secret is lost, rotate it under another Idempotency-Key.",
        )
    audit(session, identity, "channel.show_secret", channel.id, name=channel.name)
    return ChannelMade(**kept.channel.model_dump(), secret=secrets_of(parts.settings, channel)[0])


@router.get("/{channel}")
def show_channel(channel: str, session: SessionDep, identity: ViewerDep, response: Response) -> ChannelView:
    """One channel, by id or name, and how it does. Its `ETag` changes only with what people change."""
    view = channel_view(find_channel(session, identity.project_id, channel))
    response.headers["ETag"] = tag_of_view(view, _BY_PEOPLE)
    return view


@router.delete("/{channel}", status_code=204)
def remove_channel(channel: str, session: SessionDep, identity: EditorDep, seen: IfMatchDep) -> None:
    """Remove a channel with all subscriptions that lead to it and all its deliveries."""
    found = find_channel(session, identity.project_id, channel, lock=True)
    seen.against(tag_of_view(channel_view(found), _BY_PEOPLE))
    with_it = select(func.count()).select_from(Subscription).where(Subscription.channel_id == found.id)
    count = session.scalar(with_it)
    audit(session, identity, "channel.remove", found.id, name=found.name, subscriptions=count)
    session.delete(found)


@router.post("/{channel}/test", status_code=202)
def test_channel(
    channel: str, session: SessionDep, identity: EditorDep, once: OnceDep, response: Response
) -> DeliveryView:
    """Send a notice of kind `test` there now. `GET /v1/deliveries/{id}` shows what came of it."""

    def make() -> DeliveryView:
        found = find_channel(session, identity.project_id, channel, lock=True)
        delivery_id = try_channel(session, found, identity.principal)
        audit(session, identity, "channel.test", found.id, name=found.name, delivery=delivery_id)
        return delivery_view(find_delivery(session, identity.project_id, delivery_id))

    view = once(session, identity, DeliveryView, make=make)
    response.headers["Location"] = f"/v1/deliveries/{view.id}"
    return view


@router.post("/{channel}/enable")
def enable(channel: str, session: SessionDep, identity: EditorDep) -> ChannelView:
    """Let a channel that failed, or was switched off, be tried as if nothing had gone wrong."""
    found = find_channel(session, identity.project_id, channel, lock=True)
    enable_channel(found)
    audit(session, identity, "channel.enable", found.id, name=found.name)
    return channel_view(found)


@router.post("/{channel}/rotate")
def rotate_secret(
    channel: str,
    session: SessionDep,
    parts: PartsDep,
    identity: EditorDep,
    once: OnceDep,
    drop_old: Annotated[bool, Query(description="Make none: from now on sign with the newest alone.")] = False,
) -> ChannelMade:
    """Replace the secret of a webhook in two steps, without a delivery that its receiver cannot verify.

    First a new one signs beside the old: teach it to the receiver. Then call it with `drop_old`. The new secret is
    shown in this answer only; a repeat under the same `Idempotency-Key` shows it again for ten minutes.
    """
    before = once.before(session, identity, _Kept, drop_old)
    if before is not None:
        return _again(session, parts, identity, before)
    found = find_channel(session, identity.project_id, channel, lock=True)
    if drop_old:
        drop_old_secrets(parts.settings, found)
    else:
        add_secret(parts.settings, found)
    audit(session, identity, "channel.rotate", found.id, name=found.name, drop_old=drop_old)
    return _made(session, parts, identity, once, found, shown=not drop_old)

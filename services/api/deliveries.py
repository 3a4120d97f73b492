"""Deliveries: what is on its way, what arrived, and what did not."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement, select

from services.api.audit import audit
from services.api.deps import After, EditorDep, Limit, SessionDep, ViewerDep
from services.api.idempotent import OnceDep
from services.api.views import page_of
from shared.contracts.notifying import DeliveryDetail, DeliveryState, DeliveryView, ReplayRequest, ReplayView
from shared.contracts.views import Page
from shared.db.notifying import Delivery, DeliveryAttempt, Notice
from shared.notices.channels import find_channel, is_channel
from shared.notices.deliveries import (
    deliveries_of,
    delivery_detail,
    delivery_view,
    find_delivery,
    newest,
    replay,
    replay_dead,
)

router = APIRouter(prefix="/v1/deliveries", tags=["notices"])


@router.get("")
def list_deliveries(
    session: SessionDep,
    identity: ViewerDep,
    state: Annotated[list[DeliveryState] | None, Query(description="`dead`: given up.")] = None,
    channel: Annotated[str | None, Query(max_length=63, description="Name or id.")] = None,
    run: Annotated[UUID | None, Query(description="Of notices of this run.")] = None,
    kind: Annotated[list[str] | None, Query(max_length=64, description="Of these kinds of notice.")] = None,
    cursor: After = None,
    limit: Limit = 50,
) -> Page[DeliveryView]:
    """Newest first."""
    of_channel = [] if channel is None else [is_channel(channel)]
    those: list[ColumnElement[bool]] = [] if not state else [Delivery.state.in_(state)]
    those += [] if run is None else [Notice.run_id == run]
    those += [] if not kind else [Notice.kind.in_(kind)]
    those += [] if cursor is None else [Delivery.id < cursor]
    ids = newest(session, identity.project_id, limit + 1, of_channel, those)
    query = deliveries_of(identity.project_id).where(Delivery.id.in_(ids)).order_by(Delivery.id.desc())
    rows = session.execute(query).all()
    return page_of([row[0] for row in rows], [delivery_view(row) for row in rows], limit)


@router.get("/{delivery_id}")
def show_delivery(delivery_id: UUID, session: SessionDep, identity: ViewerDep) -> DeliveryDetail:
    """One delivery with what was sent and what each attempt was answered."""
    row = find_delivery(session, identity.project_id, delivery_id)
    attempts = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id == delivery_id)
    return delivery_detail(row, session.scalars(attempts.order_by(DeliveryAttempt.attempt)).all())


@router.post("/replay", status_code=202)
def replay_channel(body: ReplayRequest, session: SessionDep, identity: EditorDep, once: OnceDep) -> ReplayView:
    """Send again all that a channel did not take: those that are `dead`."""

    def make() -> ReplayView:
        channel = find_channel(session, identity.project_id, body.channel)
        count = replay_dead(session, channel.id)
        audit(session, identity, "delivery.replay_all", channel.id, name=channel.name, replayed=count)
        return ReplayView(replayed=count)

    return once(session, identity, ReplayView, body, make=make)


@router.post("/{delivery_id}/replay", status_code=202)
def replay_delivery(delivery_id: UUID, session: SessionDep, identity: EditorDep, once: OnceDep) -> DeliveryView:
    """Send it again, now and under the same id: a receiver that took it already can tell."""

    def make() -> DeliveryView:
        row = find_delivery(session, identity.project_id, delivery_id, lock=True)
        replay(session, row[0])
        audit(session, identity, "delivery.replay", delivery_id, channel=row[2])
        session.expire(row[0])
        return delivery_view(find_delivery(session, identity.project_id, delivery_id))

    return once(session, identity, DeliveryView, make=make)

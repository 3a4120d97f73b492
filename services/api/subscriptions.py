"""Subscriptions: who is told what, where and when. They are one's own."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError
from sqlalchemy.orm import Session
from uuid6 import uuid7

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, Limit, PartsDep, ReaderDep, SessionDep, ViewerDep
from services.api.etags import IfMatchDep, tag_of_view
from services.api.idempotent import OnceDep
from services.api.problems import readable
from services.api.views import page_of
from shared.contracts.notifying import SubscriptionChange, SubscriptionRequest, SubscriptionView
from shared.contracts.roles import Role
from shared.contracts.views import Page
from shared.db.notifying import Subscription
from shared.errors import Forbidden, UserError
from shared.notices.subscriptions import check_count, find_subscription, settle, subscription_view, subscriptions_of
from shared.settings import Settings

router = APIRouter(prefix="/v1/subscriptions", tags=["notices"])
_NULLABLE = frozenset({"digest", "quiet", "escalation", "muted_until"})
#: The rest changes by itself, each time that a digest is sent.
_BY_PEOPLE = frozenset(SubscriptionView.model_fields) - {"next_digest_at"}


def _tag(view: SubscriptionView) -> str:
    return tag_of_view(view, _BY_PEOPLE)


def _sees_all(identity: Identity) -> bool:
    return identity.role.covers(Role.ADMIN)


@router.get("")
def list_subscriptions(
    session: SessionDep,
    identity: ViewerDep,
    everybody: Annotated[bool, Query(alias="all", description="Those of all; for admins of the project.")] = False,
    cursor: After = None,
    limit: Limit = 50,
) -> Page[SubscriptionView]:
    """One's own, newest first."""
    if everybody and not _sees_all(identity):
        raise Forbidden("Only an admin of the project sees the subscriptions of others.", remedy="Leave out `all`.")
    query = subscriptions_of(identity, everybody=everybody).order_by(Subscription.id.desc()).limit(limit + 1)
    rows = session.execute(query.where(Subscription.id < cursor) if cursor else query).all()
    return page_of([row[0] for row in rows], [subscription_view(row) for row in rows], limit)


@router.post("", status_code=201)
def subscribe(
    body: SubscriptionRequest,
    response: Response,
    session: SessionDep,
    parts: PartsDep,
    identity: ReaderDep,
    once: OnceDep,
) -> SubscriptionView:
    """Tell me of these kinds of notice, from now on and as long as I am a member of the project."""
    view = once(session, identity, SubscriptionView, body, make=partial(_make, session, parts.settings, identity, body))
    response.headers["Location"] = f"/v1/subscriptions/{view.id}"
    return view


def _make(session: Session, settings: Settings, identity: Identity, body: SubscriptionRequest) -> SubscriptionView:
    check_count(session, settings, identity)
    made = Subscription(project_id=identity.project_id, principal_id=identity.principal_id)
    settle(session, made, body, datetime.now(UTC))
    made.id = uuid7()
    session.add(made)
    session.flush()
    audit(session, identity, "subscription.create", made.id, kinds=made.kinds, channel=made.channel_id)
    session.refresh(made)
    return subscription_view(find_subscription(session, identity, made.id))


@router.get("/{subscription_id}")
def show_subscription(
    subscription_id: UUID, session: SessionDep, identity: ViewerDep, response: Response
) -> SubscriptionView:
    """One of one's own; to an admin of anybody's. Its `ETag` changes when somebody changes it, not with its digests."""
    view = subscription_view(find_subscription(session, identity, subscription_id, everybody=_sees_all(identity)))
    response.headers["ETag"] = _tag(view)
    return view


@router.patch("/{subscription_id}")
def change_subscription(
    subscription_id: UUID, body: SubscriptionChange, session: SessionDep, identity: ReaderDep, seen: IfMatchDep
) -> SubscriptionView:
    """Change some fields; `muted_until` keeps it silent for a while."""
    everybody = _sees_all(identity)
    row = find_subscription(session, identity, subscription_id, everybody=everybody, lock=True)
    view = subscription_view(row)
    seen.against(_tag(view))
    changes = _changes(body)
    found: Subscription = row[0]
    if "muted_until" in changes:
        found.muted_until = changes["muted_until"]
    if set(changes) != {"muted_until"}:
        settle(session, found, _whole(view, changes), datetime.now(UTC))
    session.flush()
    audit(session, identity, "subscription.change", found.id, fields=sorted(changes))
    return subscription_view(find_subscription(session, identity, subscription_id, everybody=everybody))


def _changes(body: SubscriptionChange) -> dict[str, Any]:
    changes = {field: getattr(body, field) for field in body.model_fields_set}
    empty = sorted(field for field, value in changes.items() if value is None and field not in _NULLABLE)
    if empty:
        raise UserError(f"{', '.join(empty)}: must not be null.", remedy="Leave out what is to stay as it is.")
    return changes


def _whole(view: SubscriptionView, changes: dict[str, Any]) -> SubscriptionRequest:
    """What would be there after the change. Raises `UserError` for fields that do not go together."""
    old: dict[str, Any] = {field: getattr(view, field) for field in SubscriptionRequest.model_fields}
    new = {field: value for field, value in changes.items() if field in old}
    try:
        return SubscriptionRequest(**old | new)
    except ValidationError as error:
        found = readable(error.errors())
        raise UserError(f"{found[0]['message']}.", remedy="Send null for what is to go.") from error


@router.delete("/{subscription_id}", status_code=204)
def unsubscribe(subscription_id: UUID, session: SessionDep, identity: ReaderDep, seen: IfMatchDep) -> None:
    """Tell nothing more of it; what was not sent by now is not sent."""
    row = find_subscription(session, identity, subscription_id, everybody=_sees_all(identity), lock=True)
    seen.against(_tag(subscription_view(row)))
    audit(session, identity, "subscription.remove", subscription_id, kinds=row[0].kinds)
    session.delete(row[0])

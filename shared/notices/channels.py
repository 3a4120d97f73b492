"""Rows of channels: made, found, shown; how their secrets are replaced."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from uuid6 import uuid7

from shared.contracts.notifying import ChannelRequest, ChannelView
from shared.db.notifying import Channel
from shared.errors import Conflict, NotFound
from shared.notices.few import must_be_fewer
from shared.notices.seal import Seal
from shared.notices.targets import described
from shared.notices.webhooks import new_secret
from shared.runs.submit import Caller
from shared.settings import Settings

#: each signs every delivery, and a receiver looks at all signatures
MOST_SECRETS = 5


def make_channel(session: Session, settings: Settings, caller: Caller, request: ChannelRequest) -> Channel:
    """Raises `UserError` for a target that is not taken, `Conflict` for a taken name or a channel too many."""
    found = described(request.target, settings)
    must_be_fewer(
        session, Channel.id, settings.notify_most_channels, "channels", Channel.project_id == caller.project_id
    )
    channel_id = uuid7()
    allowed = settings.notify_per_minute
    channel = Channel(
        id=channel_id,
        project_id=caller.project_id,
        created_by=caller.principal_id,
        name=request.name,
        type=found.type,
        service=found.service,
        sealed=Seal(settings.seal_keys).seal(found.secret, bound_to=str(channel_id)),
        shown=found.shown,
        per_minute=request.per_minute or allowed.get(found.service, allowed.get("default", 60.0)),
    )
    session.add(channel)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a channel named {request.name!r} already.", remedy="Choose another name, or remove that one."
        ) from error
    session.refresh(channel)
    return channel


def is_channel(ref: str) -> ColumnElement[bool]:
    """The condition that `ref` is the id or the name of a channel. No name looks like an id."""
    try:
        return Channel.id == UUID(ref)
    except ValueError:
        return Channel.name == ref


def find_channel(session: Session, project_id: UUID, ref: str, *, lock: bool = False) -> Channel:
    """By id or name. Raises `NotFound`."""
    query = select(Channel).where(Channel.project_id == project_id, is_channel(ref))
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no channel {ref[:80]!r} in this project.", remedy="`GET /v1/channels` lists them.")
    return found


def channel_view(channel: Channel) -> ChannelView:
    """A channel as it is shown."""
    return ChannelView(
        id=channel.id,
        name=channel.name,
        type=channel.type,
        service=channel.service,
        shown=channel.shown,
        per_minute=channel.per_minute,
        state="disabled" if channel.disabled_at else "failing" if channel.failures else "enabled",
        failures=channel.failures,
        last_error=channel.last_error,
        retry_at=channel.retry_at,
        created_by=channel.created_by,
        created_at=channel.created_at,
    )


def enable_channel(channel: Channel) -> None:
    """Let it be tried as if nothing had gone wrong."""
    channel.disabled_at = channel.failing_since = channel.retry_at = channel.last_error = None
    channel.failures = 0
    channel.free_at = datetime.now(UTC)


def secrets_of(settings: Settings, channel: Channel) -> list[str]:
    """With what its deliveries are signed, the newest first; none if it is no webhook."""
    opened = Seal(settings.seal_keys).open(bytes(channel.sealed), bound_to=str(channel.id))
    return list(opened.get("secrets", ()))


def add_secret(settings: Settings, channel: Channel) -> str:
    """A new secret that signs beside the old ones. Raises `Conflict` for what is no webhook or has too many."""
    old = _secrets(settings, channel)
    if len(old) >= MOST_SECRETS:
        raise Conflict(
            f"The channel has {len(old)} secrets already.",
            remedy="Drop the old ones (`?drop_old=true`) once the receiver knows the newest.",
        )
    new = new_secret()
    _keep(settings, channel, [new, *old])
    return new


def drop_old_secrets(settings: Settings, channel: Channel) -> None:
    """Sign with the newest secret alone. Raises `Conflict` for what is no webhook."""
    _keep(settings, channel, _secrets(settings, channel)[:1])


def _secrets(settings: Settings, channel: Channel) -> list[str]:
    if channel.type != "webhook":
        raise Conflict(
            f"A channel of type {channel.type} has no secret of ours.",
            remedy="Remove it, and add it with its new address.",
        )
    return secrets_of(settings, channel)


def _keep(settings: Settings, channel: Channel, secrets: list[str]) -> None:
    seal, row = Seal(settings.seal_keys), str(channel.id)
    opened = seal.open(bytes(channel.sealed), bound_to=row)
    channel.sealed = seal.seal({**opened, "secrets": secrets}, bound_to=row)

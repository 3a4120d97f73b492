"""What goes out, and by which way: one sender per type of channel."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from services.notifier.acting import Acting
from services.notifier.answer import Answer
from services.notifier.chat import send_chat
from services.notifier.client import GuardedClient
from services.notifier.mail import send_mail
from services.notifier.message import Message
from services.notifier.rendering import render
from services.notifier.webhook import sign
from services.notifier.zones import known_zone
from shared.errors import Fatal
from shared.notices.deliveries import told
from shared.notices.guard import Guard
from shared.notices.seal import Seal
from shared.settings import Settings
from shared.version import VERSION


@dataclass(frozen=True)
class Outgoing:
    """One notice for one channel."""

    delivery_id: UUID
    kind: str
    data: dict[str, Any]
    at: datetime
    channel_id: UUID
    type: str
    sealed: bytes
    notice_id: UUID
    run_id: UUID | None
    principal_id: UUID  #: who subscribed, or made the channel
    subscription_id: UUID | None
    timezone: str  #: by whose clock times are told

    @classmethod
    def of(cls, row: Any) -> "Outgoing":
        """From a row of `rows.take`."""
        return cls(
            delivery_id=row.id,
            kind=row.kind,
            data=row.data,
            at=row.at,
            channel_id=row.channel_id,
            type=row.type,
            sealed=bytes(row.sealed),
            notice_id=row.notice_id,
            run_id=row.run_id,
            principal_id=row.principal_id or row.created_by,
            subscription_id=row.subscription_id,
            timezone=known_zone(row.timezone or "UTC"),
        )


def body_of(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    """What a webhook receives: the same bytes at every attempt."""
    return orjson.dumps(told(kind, at, data), option=orjson.OPT_SORT_KEYS)


class Senders:
    """The ways out of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seal = Seal(settings.seal_keys)
        self._acting = Acting(settings)
        self._client = GuardedClient(
            Guard(settings.notify_allowed_networks),
            connect_s=settings.notify_connect_s,
            total_s=settings.notify_total_s,
            most_bytes=settings.notify_answer_bytes,
            allow_http=settings.notify_allow_http,
        )

    @staticmethod
    def of(settings: Settings) -> "Senders":
        """Those of this process, made once."""
        made = _MADE.get(id(settings))
        if made is None:
            made = _MADE[id(settings)] = Senders(settings)
        return made

    def send(self, outgoing: Outgoing) -> Answer:
        """One attempt. Raises `FaultlineError` for what cannot be sent at all: a seal that no key opens, say."""
        where = self._seal.open(outgoing.sealed, bound_to=str(outgoing.channel_id))
        match outgoing.type:
            case "webhook":
                return self._webhook(where, outgoing)
            case "email":
                message_id = str(outgoing.delivery_id)
                return send_mail(self._settings, where["to"], self._message(outgoing), message_id)
            case "chat":
                return send_chat(where["url"], self._message(outgoing), str(outgoing.delivery_id), self._client)
            case other:
                raise Fatal(f"A channel of type {other} is none of this release.")

    def _message(self, outgoing: Outgoing) -> Message:
        links = self._acting.links(outgoing.kind, outgoing.run_id, outgoing.notice_id, outgoing.principal_id)
        return render(
            outgoing.kind,
            outgoing.data,
            outgoing.at,
            links=links,
            unsubscribe_url=self._acting.unsubscribe(outgoing.subscription_id, outgoing.principal_id),
            base_url=self._settings.public_url,
            zone=outgoing.timezone,
        )

    def _webhook(self, where: dict[str, Any], outgoing: Outgoing) -> Answer:
        body = body_of(outgoing.kind, outgoing.at, outgoing.data)
        headers = {
            "content-type": "application/json",
            "user-agent": f"faultline/{VERSION}",
            **sign(where["secrets"], str(outgoing.delivery_id), datetime.now(UTC), body),
        }
        return self._client.post(where["url"], body, headers)


#: by the identity of the settings, of which a process has one
_MADE: dict[int, Senders] = {}

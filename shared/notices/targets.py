"""What a channel may lead to, what is sealed of it, and what is shown.

Where a name leads is found out at each connect; all else is refused here by the same reader and the same guard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.notifying import ChatTarget, EmailTarget, Target, WebhookTarget
from shared.errors import UserError
from shared.notices.chats import chat_at
from shared.notices.guard import Guard, Refused
from shared.notices.seal import redacted
from shared.notices.web_url import WebUrl
from shared.notices.webhooks import new_secret
from shared.settings import Settings


@dataclass(frozen=True)
class Described:
    """A target that is taken."""

    type: str
    service: str
    shown: str
    secret: dict[str, Any]  #: to be sealed


def described(target: Target, settings: Settings) -> Described:
    """What there is to know of a target. Raises `UserError`, which never repeats the address."""
    match target:
        case WebhookTarget():
            url = target.url.get_secret_value()
            check_url(url, settings)
            return Described("webhook", "webhook", redacted(url), {"url": url, "secrets": [new_secret()]})
        case EmailTarget():
            if settings.smtp_host is None:
                raise UserError(
                    "This platform sends no mail.",
                    remedy="Ask an operator to set FAULTLINE_SMTP_HOST, or use a webhook.",
                )
            return Described("email", "email", _shown(target.to), {"to": target.to})
        case ChatTarget():
            url = target.url.get_secret_value()
            service = chat_at(url).name
            return Described("chat", service, redacted(url), {"url": url})


def check_url(url: str, settings: Settings) -> None:
    """Raises `UserError` for all that is refused at each delivery too, whatever its host's addresses are."""
    try:
        read = WebUrl.of(url, allow_http=settings.notify_allow_http)
        Guard(settings.notify_allowed_networks).look(read.host, read.port)
    except Refused as error:
        raise UserError(f"target.url: {error.reason}.", remedy=error.remedy) from error


def _shown(addresses: Sequence[str]) -> str:
    """`a***@example.org and 2 more`."""
    name, _, host = addresses[0].rpartition("@")
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return f"{name[0]}***@{host}{more}"

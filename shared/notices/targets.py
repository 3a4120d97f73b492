"""What a channel may lead to, what is sealed of it, and what is shown.

What is looked at here is what a person would see at once. Where a name leads is found out when it is connected to, by
the guard of the notifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from shared.contracts.notifying import ChatTarget, EmailTarget, Target, WebhookTarget
from shared.errors import UserError
from shared.notices.chats import chat_at
from shared.notices.seal import redacted
from shared.notices.webhooks import new_secret
from shared.settings import Settings

_PUBLIC = "Use a public https address, or ask an operator to allow the network that it is in."


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
            check_url(url, allowed=settings.notify_allowed_networks, allow_http=settings.notify_allow_http)
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


def check_url(url: str, *, allowed: Sequence[IPv4Network | IPv6Network] = (), allow_http: bool = False) -> None:
    """Raises `UserError` for all that is not plainly https://host[:port]/path at a host that may be public."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UserError(
            "target.url: the address holds blanks, backslashes or characters that are not ASCII.",
            remedy="Write them percent-encoded, and a host as xn--...",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UserError("target.url: the address cannot be read.", remedy=_PUBLIC) from None
    if parts.scheme == "http" and not allow_http:
        raise UserError(
            "target.url: the address is not encrypted.",
            remedy="Use https. An operator may allow http by FAULTLINE_NOTIFY_ALLOW_HTTP.",
        )
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise UserError("target.url: this is no address of the form https://host/path.", remedy=_PUBLIC)
    if "@" in parts.netloc:
        raise UserError(
            "target.url: the address holds a user or a password.",
            remedy="Leave it out: the receiver knows us by the signature of what we send.",
        )
    if _is_private(host, allowed):
        raise UserError("target.url: the address is not a public one.", remedy=_PUBLIC)


def _is_private(host: str, allowed: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether a host is plainly not public: by its number, or because it is called localhost."""
    if host == "localhost" or host.endswith(".localhost"):
        return not any(network.is_loopback for network in allowed)
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if any(address.version == network.version and address in network for network in allowed):
        return False
    return not address.is_global or address.is_multicast


def _shown(addresses: Sequence[str]) -> str:
    """`a***@example.org and 2 more`."""
    name, _, host = addresses[0].rpartition("@")
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return f"{name[0]}***@{host}{more}"

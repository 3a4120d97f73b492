"""Where something can be told, from the options of a command; and a name for it where none is given."""

import re
from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

import typer

from services.cli.arguments import WrongArguments, build
from shared.contracts.notifying import ChannelRequest, ChatTarget, EmailTarget, Target, WebhookTarget

Webhook = Annotated[
    str | None, typer.Option("--webhook", metavar="URL", help="An https address that takes signed JSON.")
]
Email = Annotated[list[str] | None, typer.Option("--email", metavar="ADDRESS", help="By mail (repeat).")]
Chat = Annotated[
    str | None, typer.Option("--chat", metavar="URL", help="slack://..., discord://..., or what the service gave you.")
]
Rate = Annotated[float | None, typer.Option("--per-minute", min=0.001, help="At most so many; default: the service's.")]
_LONGEST = 40


def target_of(webhook: str | None, email: list[str] | None, chat: str | None) -> Target | None:
    """The one that is given; None without any. Raises `WrongArguments` for several."""
    given = [name for name, value in (("--webhook", webhook), ("--email", email), ("--chat", chat)) if value]
    if len(given) > 1:
        raise WrongArguments(f"{' and '.join(given)} are two channels.", remedy="Make them one after the other.")
    if webhook:
        return build(WebhookTarget, url=webhook)
    if email:
        return build(EmailTarget, to=email)
    return build(ChatTarget, url=chat) if chat else None


def channel_request(name: str, target: Target, per_minute: float | None) -> ChannelRequest:
    """The request for a channel. Raises `WrongArguments`."""
    return build(ChannelRequest, name=name, target=target, per_minute=per_minute)


def name_for(target: Target, taken: Collection[str]) -> str:
    """A name that tells where it leads and nothing secret, and that is free."""
    if isinstance(target, EmailTarget):
        plain = f"mail-{target.to[0].partition('@')[0]}"
    else:
        scheme, host = _place(target.url.get_secret_value())
        plain = host if scheme in {"http", "https"} else scheme
    name = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:_LONGEST].strip("-") or target.type
    free = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in free if name not in taken)


def _place(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return "", ""

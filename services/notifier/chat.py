"""Chat: addresses are checked to the letter, messages are written by apprise and sent by our own client."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apprise import AppriseAsset
from apprise.common import NotifyFormat, NotifyType, OverflowMode, PersistentStoreMode
from apprise.exception import AppriseImproperlyConfigured
from apprise.plugins.base import NotifyBase

from services.notifier.answer import Answer
from services.notifier.chat_services import ChatService, service_of
from services.notifier.chat_transport import Outbox, Poster, through
from services.notifier.message import Message
from shared.errors import UserError
from shared.notices.chats import CHATS
from shared.notices.guard import Refused

logging.getLogger("apprise").disabled = True  # it writes addresses and bodies: secrets
_ASSET = AppriseAsset(
    app_id="Faultline",
    app_desc="Faultline",
    app_url="",
    image_url_mask="",
    image_url_logo="",
    interpret_emojis=False,
    allow_templates=False,
    storage_mode=PersistentStoreMode.MEMORY,
)
_TYPES = {
    "info": NotifyType.INFO,
    "success": NotifyType.SUCCESS,
    "warning": NotifyType.WARNING,
    "failure": NotifyType.FAILURE,
}
_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks, control characters and the backslash
#: services read these as mentions, masked links or tags; a sign without width keeps them words
_OBEYED = re.compile(r"(?<=[@<])|(?<=\])(?=\()")
#: what Markdown could take for marks; within a word `_` is none
_MARKED = re.compile(r"[\\`*\[\]<>~|#]|\b_|_\b")
#: signs for what apprise puts between title and body
_SPARE = 50
_ANY_HOST = "host.example"
_ZERO_WIDTH = "\u200b"
_RETRY_AFTER = re.compile(r'"retry_after":\s*(\d+(?:\.\d+)?)')
_MOST_RETRY_AFTER_S = 86_400.0
_KNOWN = ", ".join(chat.schemas[0] for chat in CHATS.values())
_REMEDY = (
    f"Use the https address that Slack, Teams, Discord, Google Chat or Webex gave you, or one of {_KNOWN} as "
    "<service>://... (https://github.com/caronc/apprise/wiki); for any other receiver make a webhook channel."
)
_TRIAL = Message("A test", "A test.", "A test.", "", "info")


class _Accepts:
    """Sends nothing, and is content."""

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - as Poster has it
        """Yes."""
        return Answer(True, 200, 0.0, excerpt="ok")


def check_chat(url: str) -> str:
    """The service that an address is of. Raises `UserError`, which does not repeat it, if nothing can be sent there.

    A message is made as if it were sent: it must be one request, to the service's own host. So one channel is one
    place, and what a repeat reaches has not been reached before.
    """
    service, plugin = _plugin(url, "trial")
    outbox = Outbox(service, _Accepts())
    try:
        _notify(service, plugin, _TRIAL, outbox)
    except Refused:
        raise _bad(f"The address of {service.name} leads to elsewhere") from None
    if outbox.answer is None:
        raise _bad(f"The address of {service.name} names no place to send to")
    if outbox.requests > 1:
        raise _bad(f"The address of {service.name} names more than one place; make a channel for each")
    return service.name


def send_chat(url: str, message: Message, message_id: str, client: Poster) -> Answer:
    """One attempt, with what the service answered; `message_id` tells services that know repeats that it is one."""
    try:
        check_chat(url)
        service, plugin = _plugin(url, message_id)
        outbox = Outbox(service, client)
        _notify(service, plugin, message, outbox)
    except (UserError, Refused) as error:
        return Answer(False, None, 0.0, error=f"refused: {error.message}", refused=True)
    answer = outbox.answer
    if answer is None:
        return Answer(False, None, 0.0, error=f"protocol: nothing was sent to {service.name}", again=False)
    asked = _RETRY_AFTER.search(answer.excerpt)
    if answer.retry_after_s is None and asked and answer.status == 429:
        return replace(answer, retry_after_s=min(float(asked[1]), _MOST_RETRY_AFTER_S))
    return answer


def _plugin(url: str, repeat: str) -> tuple[ChatService, NotifyBase]:
    """The service and its plugin with this address. Raises `UserError`."""
    if not _PRINTABLE.fullmatch(url):
        raise _bad("The address holds blanks, backslashes or characters that are not ASCII")
    try:
        service = service_of(url)
        options = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=bool(urlsplit(url).query))
    except ValueError:
        raise _bad("The address cannot be read") from None
    if service is None:
        raise _bad("The address is of no chat service that is known here")
    names = [name.lower() for name, _ in options]
    if unknown := sorted({name[:30] for name in names if name not in service.options}):
        raise _bad(f"The address has options that are not allowed: {', '.join(unknown)}")
    if len(set(names)) != len(names) or "#" in url:
        raise _bad("The address has an option twice, or a part after #")
    found = _read(service, url)
    found |= {name: value for name, value in service.fixed.items() if name not in names}
    if service.repeat_key:
        found[service.repeat_key] = repeat
    found |= {"asset": _ASSET, "overflow": OverflowMode.TRUNCATE}
    try:
        plugin: NotifyBase = service.plugin(**found)
    except (AppriseImproperlyConfigured, TypeError):  # their words hold tokens
        raise _bad(f"The address is none of {service.name}") from None
    plugin.request_rate_per_sec = 0  # pacing is ours
    return service, plugin


def _read(service: ChatService, url: str) -> dict[str, Any]:
    """What the plugin makes of an address. Raises `UserError`.

    A host is kept from it: it takes those of Power Automate for none if one of their labels is a number.
    """
    host = urlsplit(url).netloc.partition(":")[0]
    shown = url.replace(host, _ANY_HOST, 1) if service.with_host else url
    reads = service.plugin.parse_native_url if url.startswith("https:") else service.plugin.parse_url
    found: dict[str, Any] | None = reads(shown)
    if not found:
        raise _bad(f"The address is none of {service.name}")
    return found | ({"host": host.lower()} if service.with_host else {})


def _bad(words: str) -> UserError:
    return UserError(f"{words}.", remedy=_REMEDY)


def _notify(service: ChatService, plugin: NotifyBase, message: Message, outbox: Outbox) -> None:
    """Let the plugin write; whether it is content says less than the answer."""
    title = _written(_harmless(message.subject), service)
    links = _links(service, message, plugin.body_maxlen // 2)
    room = plugin.body_maxlen - len(title) - len(links) - _SPARE
    text = _cut(_harmless(message.brief), room, service)
    with through(outbox):
        plugin.notify(
            body="\n\n".join(part for part in (text, links) if part),
            title=title,
            notify_type=_TYPES[message.severity],
            body_format=NotifyFormat.MARKDOWN if service.markdown else NotifyFormat.TEXT,
        )


def _links(service: ChatService, message: Message, most: int) -> str:
    """The links that fit, the first ones first."""
    shown = ""
    for link in message.links:
        label = _written(_harmless(link.label), service)
        url = link.url.replace("(", "%28").replace(")", "%29")
        one = f"[{label}]({url})" if service.markdown else f"{label}: {link.url}"
        if len(shown) + len(one) > most:
            break
        shown += (service.line_break if shown else "") + one
    return shown


def _written(text: str, service: ChatService) -> str:
    if not service.markdown:
        return text
    lines = _MARKED.sub(r"\\\g<0>", text).splitlines()
    return service.line_break.join(line for line in lines if line or service.line_break == "\n")


def _harmless(text: str) -> str:
    return _OBEYED.sub(_ZERO_WIDTH, text)


def _cut(text: str, most: int, service: ChatService) -> str:
    """As many lines as the service takes: the first ones say the most."""
    lines = text.splitlines()
    for kept in range(len(lines), 0, -1):
        shown = _written("\n".join(lines[:kept] + ["…"] * (kept < len(lines))), service)
        if len(escape(shown)) <= most:  # a service may write some signs as HTML does
            return shown
    return _written(text[: max(most // 6, 0)] + "…", service)

"""Chat services that a channel may lead to, by their names alone: what is not here is neither taken nor sent.

Only services on hosts that are known. An address that names a host of somebody's choice (`mmost://host/...`) would
lead past the guard of the notifier; such receivers take a webhook.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import UserError

AZURE = r"[a-z0-9.-]+\.(logic\.azure\.(com|us)|api\.powerplatform\.com)"


@dataclass(frozen=True)
class Chat:
    """One service."""

    name: str  #: as `notify_per_minute` has it
    schemas: tuple[str, ...]  #: of its addresses in Apprise
    native: str = ""  #: a pattern: hosts of the https addresses that the service itself gives out


CHATS = {
    chat.name: chat
    for chat in (
        Chat("slack", ("slack",), r"hooks\.slack(-gov)?\.com"),
        Chat("msteams", ("workflows", "workflow"), AZURE),
        Chat("discord", ("discord",), r"(discord|discordapp)\.com"),
        Chat("tgram", ("tgram",)),
        Chat("pagerduty", ("pagerduty",)),
        Chat("opsgenie", ("opsgenie",)),
        Chat("pushover", ("pover",)),
        Chat("gchat", ("gchat",), r"chat\.googleapis\.com"),
        Chat("webex", ("webex", "wxteams"), r"(api\.ciscospark|webexapis)\.com"),
        Chat("splunk", ("splunk", "victorops")),
    )
}
_REMEDY = (
    f"Use one of {', '.join(f'{chat.schemas[0]}://' for chat in CHATS.values())}, or the https address that Slack, "
    "Teams, Discord, Google Chat or Webex gave you. All others take a webhook."
)


def chat_of(url: str) -> Chat | None:
    """The service that an address is of, by its schema or, of an https address, by its host. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return next((chat for chat in CHATS.values() if parts.scheme in chat.schemas), None)
    host = parts.hostname or ""
    return next((chat for chat in CHATS.values() if chat.native and re.fullmatch(chat.native, host)), None)


def chat_at(url: str) -> Chat:
    """The same for what somebody has typed, and not repeated. Raises `UserError` for what is plainly not taken.

    Whether anything can be sent there is found out by the notifier, which has the services themselves.
    """
    if not re.fullmatch(r"[!-\[\]-~]+", url) or "#" in url:
        raise UserError(
            "target.url: the address holds blanks, backslashes, a # or characters that are not ASCII.", remedy=_REMEDY
        )
    try:
        chat = chat_of(url)
    except ValueError:
        raise UserError("target.url: the address cannot be read.", remedy=_REMEDY) from None
    if chat is None:
        raise UserError("target.url: the address is of no chat service that is known here.", remedy=_REMEDY)
    return chat

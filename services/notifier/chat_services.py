"""Chat services as apprise has them, and what of their addresses counts. Which there are: `shared.notices.chats`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from apprise.plugins.base import NotifyBase
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.opsgenie import NotifyOpsgenie
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.pushover import NotifyPushover
from apprise.plugins.slack import NotifySlack
from apprise.plugins.splunk import NotifySplunk
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.webexteams import NotifyWebexTeams
from apprise.plugins.workflows import NotifyWorkflows

from shared.notices.chats import AZURE, chat_of


@dataclass(frozen=True)
class ChatService:
    """One service."""

    name: str  #: in `CHATS`
    plugin: type[NotifyBase]
    hosts: str  #: a pattern: where messages may go to
    with_host: bool = False  #: its addresses name one of several hosts
    options: frozenset[str] = frozenset()  #: of an address; all others are refused
    repeat_key: str = ""  #: of the plugin: by what the service knows a repeat
    fixed: Mapping[str, Any] = field(default_factory=dict)  #: of the plugin, where the address says nothing
    markdown: bool = False  #: its readers see Markdown
    line_break: str = "\n"  #: what they see as one


SERVICES = (
    ChatService(
        "slack",
        NotifySlack,
        hosts=r"hooks\.slack(-gov)?\.com",
        fixed={"include_footer": False},
    ),
    ChatService(
        "msteams",
        NotifyWorkflows,
        hosts=AZURE,
        with_host=True,
        options=frozenset({"api-version", "sp", "sv", "sig"}),
        markdown=True,
        line_break="\n\n",
    ),
    ChatService(
        "discord",
        NotifyDiscord,
        hosts=r"discord\.com",
        options=frozenset({"thread"}),
        markdown=True,
    ),
    ChatService(
        "tgram",
        NotifyTelegram,
        hosts=r"api\.telegram\.org",
        options=frozenset({"topic", "silent"}),
        fixed={"detect_owner": False},
    ),
    ChatService(
        "pagerduty",
        NotifyPagerDuty,
        hosts=r"events(\.eu)?\.pagerduty\.com",
        options=frozenset({"region", "severity", "group", "class", "component", "source"}),
        repeat_key="dedup",
        fixed={"source": "Faultline", "component": "notices"},
    ),
    ChatService(
        "opsgenie",
        NotifyOpsgenie,
        hosts=r"api(\.eu)?\.opsgenie\.com",
        options=frozenset({"region", "priority"}),
        repeat_key="alias",
        fixed={"action": "new"},
    ),
    ChatService("pushover", NotifyPushover, r"api\.pushover\.net", options=frozenset({"priority", "sound"})),
    ChatService(
        "gchat",
        NotifyGoogleChat,
        hosts=r"chat\.googleapis\.com",
        options=frozenset({"key", "token", "threadkey"}),
        markdown=True,
    ),
    ChatService(
        "webex",
        NotifyWebexTeams,
        hosts=r"(api\.ciscospark|webexapis)\.com",
        markdown=True,
        line_break="\n\n",
    ),
    ChatService("splunk", NotifySplunk, r"alert\.victorops\.com", repeat_key="entity_id"),
)


_BY_NAME = {service.name: service for service in SERVICES}


def service_of(url: str) -> ChatService | None:
    """The service that an address is of."""
    chat = chat_of(url)
    return None if chat is None else _BY_NAME[chat.name]


def leads_to(service: ChatService, url: str) -> bool:
    """Whether a request to `url` goes to this service and nowhere else."""
    parts = urlsplit(url)
    return (
        parts.scheme == "https"
        and parts.netloc in {parts.hostname, f"{parts.hostname}:443"}
        and _is(service.hosts, parts.hostname)
    )


def _is(pattern: str, host: str | None) -> bool:
    return host is not None and re.fullmatch(pattern, host) is not None

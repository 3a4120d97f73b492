"""Chat services that a channel may lead to: those of apprise whose hosts are known, and what of their addresses counts.

Services on hosts of somebody's choice (json://, mmost://, ntfy://, ...) are left out: a webhook does that, guarded.
"""

import re
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class ChatService:
    """One service."""

    name: str
    plugin: type[NotifyBase]
    schemas: Sequence[str]
    hosts: str  #: a pattern: where messages may go to
    native: str = ""  #: a pattern: hosts of the addresses that the service itself gives out
    with_host: bool = False  #: its addresses name one of several hosts
    options: frozenset[str] = frozenset()  #: of an address; all others are refused
    repeat_key: str = ""  #: of the plugin: by what the service knows a repeat
    fixed: Mapping[str, Any] = field(default_factory=dict)  #: of the plugin, where the address says nothing
    markdown: bool = False  #: its readers see Markdown
    line_break: str = "\n"  #: what they see as one


_AZURE = r"[a-z0-9.-]+\.(logic\.azure\.(com|us)|api\.powerplatform\.com)"
SERVICES = (
    ChatService(
        "slack",
        NotifySlack,
        ("slack",),
        hosts=r"hooks\.slack(-gov)?\.com",
        native=r"hooks\.slack(-gov)?\.com",
        fixed={"include_footer": False},
    ),
    ChatService(
        "msteams",
        NotifyWorkflows,
        ("workflows", "workflow"),
        hosts=_AZURE,
        native=_AZURE,
        with_host=True,
        options=frozenset({"api-version", "sp", "sv", "sig"}),
        markdown=True,
        line_break="\n\n",
    ),
    ChatService(
        "discord",
        NotifyDiscord,
        ("discord",),
        hosts=r"discord\.com",
        native=r"(discord|discordapp)\.com",
        options=frozenset({"thread"}),
        markdown=True,
    ),
    ChatService(
        "tgram",
        NotifyTelegram,
        ("tgram",),
        hosts=r"api\.telegram\.org",
        options=frozenset({"topic", "silent"}),
        fixed={"detect_owner": False},
    ),
    ChatService(
        "pagerduty",
        NotifyPagerDuty,
        ("pagerduty",),
        hosts=r"events(\.eu)?\.pagerduty\.com",
        options=frozenset({"region", "severity", "group", "class", "component", "source"}),
        repeat_key="dedup",
        fixed={"source": "Faultline", "component": "notices"},
    ),
    ChatService(
        "opsgenie",
        NotifyOpsgenie,
        ("opsgenie",),
        hosts=r"api(\.eu)?\.opsgenie\.com",
        options=frozenset({"region", "priority"}),
        repeat_key="alias",
        fixed={"action": "new"},
    ),
    ChatService(
        "pushover", NotifyPushover, ("pover",), r"api\.pushover\.net", options=frozenset({"priority", "sound"})
    ),
    ChatService(
        "gchat",
        NotifyGoogleChat,
        ("gchat",),
        hosts=r"chat\.googleapis\.com",
        native=r"chat\.googleapis\.com",
        options=frozenset({"key", "token", "threadkey"}),
        markdown=True,
    ),
    ChatService(
        "webex",
        NotifyWebexTeams,
        ("webex", "wxteams"),
        hosts=r"(api\.ciscospark|webexapis)\.com",
        native=r"(api\.ciscospark|webexapis)\.com",
        markdown=True,
        line_break="\n\n",
    ),
    ChatService("splunk", NotifySplunk, ("splunk", "victorops"), r"alert\.victorops\.com", repeat_key="entity_id"),
)


def service_of(url: str) -> ChatService | None:
    """The service that an address is of, by its schema or, of an https address, by its host."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return next((one for one in SERVICES if one.native and _is(one.native, parts.hostname)), None)
    return next((one for one in SERVICES if parts.scheme in one.schemas), None)


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

"""One address of every chat service, as people have them; nothing in them is real."""

from services.notifier.message import Link, Message
from services.notifier.rendering import render
from shared.contracts.notices import NOTICES
from tests.notifier.test_rendering import AT

_AZURE = "workflows/643e69f83c8944/triggers/manual/paths/invoke"
_AZURE_QUERY = "sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
MESSAGE_ID = "0199f3a2-7c51-7e0a-9d3c-2f6f3b1d8a10"
#: name of the recording -> (service, address)
ADDRESSES = {
    "slack": ("slack", "https://hooks.slack.com/services/T0000000A/B0000000B/abcdefghijklmnopqrstuvwx"),
    "slack_by_schema": ("slack", "slack://T0000000A/B0000000B/abcdefghijklmnopqrstuvwx"),
    "msteams": (
        "msteams",
        f"https://prod-01.westeurope.logic.azure.com:443/{_AZURE}?api-version=2016-06-01&{_AZURE_QUERY}",
    ),
    "msteams_power_automate": (
        "msteams",
        "https://default0a1b2c.05.environment.api.powerplatform.com/powerautomate/automations/direct/"
        f"{_AZURE}?api-version=1&{_AZURE_QUERY}",
    ),
    "discord": ("discord", "https://discord.com/api/webhooks/123456789/token-of-the-hook"),
    "tgram": ("tgram", "tgram://123456789:abcdefg_hijklmnop/12315544/"),
    "pagerduty": ("pagerduty", f"pagerduty://{'a1' * 16}@{'b2' * 10}"),
    "pagerduty_eu": ("pagerduty", f"pagerduty://{'a1' * 16}@{'b2' * 10}?region=eu&severity=warning"),
    "opsgenie": ("opsgenie", "opsgenie://8b799edf-6f98-4d3a-9be7-2862fb4e5752"),
    "pushover": ("pushover", f"pover://{'u1' * 15}@{'t2' * 15}"),
    "gchat": ("gchat", "https://chat.googleapis.com/v1/spaces/AAAA1234/messages?key=key-1&token=token-2"),
    "webex": ("webex", f"https://webexapis.com/v1/webhooks/incoming/{'w1' * 40}"),
    "splunk": ("splunk", f"splunk://routing@{'c3' * 18}"),
}


def failed(**fields: object) -> Message:
    """The message of a run that failed."""
    links = [
        Link("Show the run", "https://f.example/runs/1?a=1&b=2"),
        Link("Acknowledge", "https://f.example/ack/one-time"),
    ]
    return render("run.failed", NOTICES["run.failed"].example | fields, AT, links=links)

"""From a notice to a message: templates in a sandbox, everything that users wrote as text and never as code."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from services.notifier.facts import Facts, facts_of
from services.notifier.message import Link, Message
from shared.errors import Fatal

_TEMPLATES = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    trim_blocks=True,
    lstrip_blocks=True,
)
#: severity -> the colour of the line at the top and of the first button; readable under white on light and dark
_COLOURS = {"info": "#3d6a94", "success": "#2b7a57", "warning": "#96640f", "failure": "#b03a3a"}


def render(
    kind: str,
    data: Mapping[str, Any],
    at: datetime,
    *,
    links: Sequence[Link] = (),
    unsubscribe_url: str | None = None,
    base_url: str = "",
    zone: str = "UTC",
) -> Message:
    """The message of one notice; `base_url` is how the platform calls itself, `zone` whose clock times are told by.

    Raises `Fatal` for a kind or data that are none of ours, and for a link that is not http.
    """
    for url in (*(link.url for link in links), *([unsubscribe_url] if unsubscribe_url else [])):
        if not _is_plain(url):
            raise Fatal("A link of a message is not a plain http address.")
    facts = facts_of(kind, data, at, zone)
    return Message(
        subject=facts.title,
        text=_text(facts, columns=True),
        brief=_text(facts, columns=False),
        html=_TEMPLATES.get_template("message.html.j2").render(
            facts=facts,
            colour=_COLOURS[facts.severity],
            links=links,
            unsubscribe_url=unsubscribe_url,
            base_url=base_url,
        ),
        severity=facts.severity,
        links=tuple(links),
        unsubscribe_url=unsubscribe_url,
    )


def _text(facts: Facts, *, columns: bool) -> str:
    width = max((len(label) for label, _ in facts.rows), default=0)
    rows = [(label.ljust(width + 1) if columns else f"{label}:", value) for label, value in facts.rows]
    return _TEMPLATES.get_template("message.txt.j2").render(facts=facts, rows=rows).strip()


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and urlsplit(url).scheme in {"http", "https"}

"""A notice as it is read: by people who like it plain, by those who like it set, and where it leads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "success", "warning", "failure"]


@dataclass(frozen=True)
class Link:
    """Where a reader can go, or what a reader can do."""

    label: str
    url: str


@dataclass(frozen=True)
class Message:
    """One notice for readers. Nothing in it obeys what users wrote."""

    subject: str  #: one line
    text: str  #: without the subject and the links; facts in columns
    brief: str  #: the same for signs of any width: facts as `label: value`
    html: str  #: a page with all of it
    severity: Severity
    links: Sequence[Link] = ()
    unsubscribe_url: str | None = None

    @property
    def links_text(self) -> str:
        """The links, each on a line."""
        return "\n".join(f"{link.label}: {link.url}" for link in self.links)

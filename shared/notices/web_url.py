"""The URL of a delivery, read strictly, by one reader only: two that disagree are how a guard is passed by."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from shared.notices.guard import refuse

_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks, control characters and the backslash
_PLACE = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_HOST_START = re.compile(r"\[[0-9a-f:.]*\]|[\w.-]*", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class WebUrl:
    """Where a request goes, taken apart."""

    scheme: str
    host: str  #: in small letters, without brackets
    port: int
    path: str  #: with the query; never for a log

    @classmethod
    def of(cls, url: str, *, allow_http: bool = False) -> "WebUrl":
        """Raises `Refused` for all that is not plainly https://host[:port]/path, or http where that is allowed."""
        host = _host_for_log(url)
        if not _PRINTABLE.fullmatch(url):
            raise refuse(host, "the URL holds blanks, backslashes or characters that are not ASCII")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise refuse(host, "the URL cannot be read") from None
        if parts.scheme not in _PORTS:
            raise refuse(host, "the URL is not https")
        if parts.scheme == "http" and not allow_http:
            raise refuse(host, "the URL is not encrypted")
        if "@" in parts.netloc:
            raise refuse(host, "the URL holds a user or a password")
        place = _PLACE.fullmatch(parts.netloc)
        if place is None:
            raise refuse(host, "the URL has no plain host and port")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = (place["six"] or place["name"]).lower()
        return cls(parts.scheme, name, int(place["port"] or _PORTS[parts.scheme]), path)

    @property
    def place(self) -> str:
        """Host and port as a `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def moved(self, location: str, *, allow_http: bool) -> "WebUrl":
        """Where a redirect leads. Raises `Refused`.

        To the same host only: the headers carry the receiver's signature and the body the event, and neither was meant
        for anybody else. Stripped of its signature a delivery is worth nothing, as nobody can tell that it is ours.
        """
        try:
            url = urljoin(f"{self.scheme}://{self.place}{self.path}", location)
        except ValueError:
            raise refuse(self.host, "a redirect leads to what cannot be read") from None
        new = WebUrl.of(url, allow_http=allow_http)
        if new.host != self.host:
            raise refuse(new.host, "a redirect leads to another host")
        if (self.scheme, new.scheme) == ("https", "http"):
            raise refuse(new.host, "a redirect leads from https to http")
        if new.scheme == self.scheme and new.port != self.port:  # another port may be somebody else's
            raise refuse(new.host, "a redirect leads to another port")
        return new


def _host_for_log(url: str) -> str:
    """What seems to be the host of a URL that may be anything: no user, no path."""
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""
    start = _HOST_START.match(place)
    return start[0] if start else ""

"""What stands in for `requests` in the plugins of apprise: they write a request, our own client sends it.

So a plugin connects to nothing itself, knows no proxy and follows no redirect, and what was answered is not lost.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from services.notifier.answer import Answer
from services.notifier.chat_services import SERVICES, ChatService, leads_to
from shared.errors import Fatal
from shared.notices.guard import refuse


class Poster(Protocol):
    """Sends one POST; `GuardedClient` does."""

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """What came of it."""


class Outbox:
    """Takes the one request of one message."""

    def __init__(self, service: ChatService, poster: Poster) -> None:
        self._service = service
        self._poster = poster
        self.requests = 0
        self.answer: Answer | None = None  #: to the first; there is to be no other

    def take(self, method: str, url: str, options: Mapping[str, Any]) -> requests.Response:
        """Send it. Raises `Refused` for a request to elsewhere, `requests.ConnectionError` where nothing was answered.

        Only the first request goes out: a plugin's own repeats know neither our clock nor our pauses.
        """
        self.requests += 1
        if self.requests > 1:
            raise requests.ConnectionError("one request per message")
        shape = {name: options.get(name) for name in ("headers", "data", "json", "params", "auth")}
        request = requests.Request(method, url, **shape).prepare()
        if request.method != "POST" or request.url is None or not leads_to(self._service, request.url):
            raise refuse(urlsplit(request.url or "").hostname or "", f"it is no address of {self._service.name}")
        body = request.body or b""
        if not isinstance(body, str | bytes):
            raise Fatal(f"The request to {self._service.name} has a body that is a stream.")
        content = body.encode() if isinstance(body, str) else body
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() != "content-length"}
        self.answer = self._poster.post(request.url, content, headers)
        if self.answer.status is None:
            raise requests.ConnectionError(self.answer.error or "no answer")
        return _response(self.answer)


_outbox: ContextVar[Outbox] = ContextVar("outbox")


@contextmanager
def through(outbox: Outbox) -> Iterator[None]:
    """All that plugins send within the block goes to `outbox`."""
    token = _outbox.set(outbox)
    try:
        yield
    finally:
        _outbox.reset(token)


class _Requests:
    """The module `requests` as plugins see it."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Into the outbox; `LookupError` outside of a message."""
        return _outbox.get().take(method, url, options)

    def get(self, url: str, **options: Any) -> requests.Response:
        """As `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        """As `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> requests.Response:
        """As `request`."""
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        """As `request`."""
        return self.request("DELETE", url, **options)

    codes = requests.codes
    exceptions = requests.exceptions
    RequestException = requests.RequestException


def _response(answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status or 0
    response._content = answer.excerpt.encode()
    return response


def _install() -> None:
    for service in SERVICES:
        module = sys.modules[service.plugin.__module__]
        if getattr(module, "requests", None) is not requests:
            raise Fatal(f"{module.__name__} does not send through `requests`; this version of apprise is not known.")
        module.requests = _Requests()  # type: ignore[attr-defined]


_install()

"""HTTP with patience: the key, retries of what is safe to repeat, errors with a remedy.

Safe to repeat are GETs, and POSTs that carry an `Idempotency-Key`: every one of ours does. Called by `client.py`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from services.cli.sdk.errors import ApiError, NotReachable
from shared.contracts.views import Problem
from shared.errors import UserError
from shared.version import VERSION

#: The answers of a gateway or of a server that restarts.
RETRIED_STATUS = frozenset({502, 503, 504})
#: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s: longer than a restart of the API, short enough to learn that there is none.
RETRIES = 5
LONGEST_PAUSE_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

M = TypeVar("M", bound=BaseModel)
Query = Mapping[str, str | int | None]


class Transport:
    """Sends requests of one user to one API. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        host = _host(url)
        api_key = api_key.strip()
        if not api_key.isascii() or not api_key.isprintable():
            raise UserError("The API key holds characters that no key has.", remedy="Copy the key again, in full.")
        self.url = url.rstrip("/")
        self.sleep = sleep
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": f"faultline/{VERSION}"},
            timeout=httpx.Timeout(30.0, connect=5.0, pool=None),
            transport=transport,
            trust_env=host not in _LOOPBACK,  # a proxy cannot reach our own loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> httpx.Response:
        """GET, repeated while the API is away."""
        return self._send(lambda: self._http.get(path, params=_given(query)))

    def post(self, path: str, body: Any = None, query: Query | None = None) -> httpx.Response:
        """POST of JSON, repeated under one `Idempotency-Key` while the API is away."""
        headers = {"Idempotency-Key": str(uuid4())}
        return self._send(lambda: self._http.post(path, json=body, params=_given(query), headers=headers))

    def post_file(self, path: str, open_file: Callable[[], tuple[str, Any]]) -> httpx.Response:
        """POST of one file as multipart; `open_file` gives its name and content afresh for each try."""
        headers = {"Idempotency-Key": str(uuid4())}

        def send() -> httpx.Response:
            name, file = open_file()
            with file:
                return self._http.post(path, files={"file": (name, file)}, headers=headers)

        return self._send(send)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], read_timeout_s: float) -> Iterator[httpx.Response]:
        """One open GET, not repeated: who reads it knows where to go on."""
        timeout = httpx.Timeout(30.0, connect=5.0, read=read_timeout_s, pool=None)
        with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise_for(response)
            yield response

    def _send(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        for attempt in range(RETRIES + 1):
            pause = 0.1 * 2**attempt
            try:
                response = send()
            except httpx.RequestError as error:
                if attempt == RETRIES:
                    raise self.not_reachable(error) from error
            else:
                if response.status_code not in RETRIED_STATUS or attempt == RETRIES:
                    raise_for(response)
                    return response
                pause = _retry_after(response, pause)
            self.sleep(pause)
        raise AssertionError("the loop returns or raises")

    def not_reachable(self, error: Exception) -> NotReachable:
        """The error for an API that stays away."""
        reason = str(error).strip() or type(error).__name__
        return NotReachable(f"Nothing answers at {self.url} ({reason}).")


def parse(model: type[M], response: httpx.Response) -> M:
    """The body of an answer as `model`. Raises `ApiError` for something that no Faultline API says."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise ApiError(
            Problem(
                title="Not understood",
                status=response.status_code,
                detail=f"The answer from {response.url.host} is not one that a Faultline API of this release gives.",
                remedy="Check the URL (`faultline login --url URL`) and that server and client are of one release.",
            )
        ) from error


def raise_for(response: httpx.Response) -> None:
    """Raise `ApiError` for an answer that is not a success."""
    if response.is_success:
        return
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=f"The server answered {response.status_code} and did not say why.",
            remedy="Check the URL, and what stands between here and the API; then try again.",
        )
    raise ApiError(problem)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port):
            return httpx.URL(url).host
    except (ValueError, httpx.InvalidURL):
        pass
    raise UserError(f"{url!r} is not the URL of an API.", remedy="Use a URL such as http://127.0.0.1:8000.")


def _given(query: Query | None) -> dict[str, str | int]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _retry_after(response: httpx.Response, fallback_s: float) -> float:
    """Seconds that the server asks to wait, bounded; a date or nonsense counts as not said."""
    try:
        asked = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return fallback_s
    return min(max(asked, fallback_s), LONGEST_PAUSE_S) if asked >= 0 else fallback_s

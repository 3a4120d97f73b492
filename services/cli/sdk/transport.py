"""HTTP with patience: the key, retries of what is safe to repeat, errors with a remedy.

Safe to repeat are GET, PUT and DELETE, and POSTs that carry an `Idempotency-Key`: every one of ours does. Called by
the classes that `client.py` joins.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from services.cli.sdk.errors import ApiError, Errors, NotReachable
from services.cli.sdk.patience import RETRIES, asked_s, before_retry_s, pause_s
from shared.contracts.views import Problem
from shared.errors import NotFound, UserError
from shared.version import VERSION

TIMEOUT_S = 30.0
_CONNECT_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

#: errors before the first byte of a request has left
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

M = TypeVar("M", bound=BaseModel)
Query = Mapping[str, str | int | float | list[str] | None]
Send = Callable[[], httpx.Response]


class Transport:
    """Sends requests of one user to one API. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
    ) -> None:
        host = _host(url)
        api_key = api_key.strip()
        if not api_key.isascii() or not api_key.isprintable():
            raise UserError("The API key holds characters that no key has.", remedy="Copy the key again, in full.")
        self.url = url.rstrip("/")
        self.sleep = sleep
        self.retries = retries
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S), pool=None)
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": f"faultline/{VERSION}"},
            timeout=self._timeout,
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

    def get(self, path: str, query: Query | None = None, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """GET, repeated while the API is away."""
        return self.send(lambda: self._http.get(path, params=_given(query), headers=headers))

    def post(
        self,
        path: str,
        body: Any = None,
        query: Query | None = None,
        *,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        """POST of JSON, repeated under one `Idempotency-Key` while the API is away; `key` outlives this process.
        `timeout_s`: for an answer that takes longer than others."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        timeout = self._timeout if timeout_s is None else _reading(self._timeout, timeout_s)
        return self.send(
            lambda: self._http.post(path, json=body, params=_given(query), headers=headers, timeout=timeout)
        )

    def patch(self, path: str, body: Any, *, if_match: str | None = None) -> httpx.Response:
        """PATCH of JSON that sets values, so repeating it changes nothing more. With the tag `if_match` a repeat would
        be refused, because of the first try, so it is not repeated once it may have arrived."""
        return self.send(lambda: self._http.patch(path, json=body, headers=_tagged(if_match)), safe=if_match is None)

    def put(self, path: str, body: Any = None) -> httpx.Response:
        """PUT of JSON."""
        return self.send(lambda: self._http.put(path, json=body))

    def put_signed(self, url: str, blocks: Callable[[], Iterator[bytes]], size_bytes: int) -> httpx.Response:
        """PUT of bytes to a URL that needs no key, of whatever host; `blocks` gives them afresh for each try."""
        host = httpx.URL(url)

        def once() -> httpx.Response:
            headers = {"Content-Length": str(size_bytes)}
            request = self._http.build_request("PUT", url, content=blocks(), headers=headers)
            del request.headers["Authorization"]  # our key is for our API only
            return self._http.send(request)

        return self.send(once, at=f"{host.scheme}://{host.netloc.decode()}")

    def delete(self, path: str, query: Query | None = None, *, if_match: str | None = None) -> httpx.Response:
        """DELETE; that it is gone after a repeat means that the first try did it."""
        tries = 0

        def once() -> httpx.Response:
            nonlocal tries
            tries += 1
            response = self._http.delete(path, params=_given(query), headers=_tagged(if_match))
            return httpx.Response(204, request=response.request) if tries > 1 and _gone(response) else response

        return self.send(once)

    def post_file(self, path: str, open_file: Callable[[], tuple[str, Any]]) -> httpx.Response:
        """POST of one file as multipart; `open_file` gives its name and content afresh for each try."""
        headers = {"Idempotency-Key": str(uuid4())}

        def once() -> httpx.Response:
            name, file = open_file()
            with file:
                return self._http.post(path, files={"file": (name, file)}, headers=headers)

        return self.send(once)

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], read_timeout_s: float | None = None, query: Query | None = None
    ) -> Iterator[httpx.Response]:
        """One open GET, not repeated: who reads it knows where to go on."""
        timeout = self._timeout if read_timeout_s is None else _reading(self._timeout, read_timeout_s)
        with self._http.stream("GET", path, params=_given(query), headers=dict(headers), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise_for(response)
            yield response

    def send(self, once: Send, *, safe: bool = True, at: str | None = None) -> httpx.Response:
        """The answer of `once`, called again while the API is away or wants time; where a repeat is not `safe`, only
        if the request was not taken. `at`: who is asked, if not the API. Raises `ApiError`, `NotReachable`."""
        tries = 0
        while True:
            last = tries == self.retries
            try:
                response = once()
            except httpx.RequestError as error:
                if last or not (safe or isinstance(error, _NOT_SENT)):
                    raise self.not_reachable(error, at) from error
                self.sleep(pause_s(tries))
            else:
                again = not last and (safe or response.status_code == httpx.codes.TOO_MANY_REQUESTS)
                pause = before_retry_s(response, tries) if again else None
                if pause is None:
                    raise_for(response)
                    return response
                self.sleep(pause)
            tries += 1

    def not_reachable(self, error: Exception, at: str | None = None) -> NotReachable:
        """The error for an API that stays away, or for a store at another address."""
        reason = str(error).strip() or type(error).__name__
        return NotReachable(f"Nothing answers at {at or self.url} ({reason}).")


def parse(model: type[M], response: httpx.Response) -> M:
    """The body of an answer as `model`. Raises `ApiError` for something that no Faultline API says."""
    try:
        return model.model_validate_json(response.content, extra="ignore")  # a newer server may say more
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
    raise Errors.of(problem, asked_s(response))


def tag_of(response: httpx.Response) -> str:
    """The tag of what an answer shows, to be sent as `if_match` with what changes it."""
    return str(response.headers.get("ETag", "*")).removeprefix("W/").strip('"')


def segment(ref: str) -> str:
    """A name or id as one part of an address. Raises `NotFound` for what would be more, or less, than that."""
    if ref in {"", ".", ".."} or "/" in ref or not ref.isprintable():
        raise NotFound(f"Nothing can be named {ref!r}.", remedy="Give a name or an id; `list` shows those that exist.")
    return quote(ref, safe="")


def _tagged(tag: str | None) -> dict[str, str]:
    return {} if tag is None else {"If-Match": tag if tag == "*" else f'"{tag}"'}


def _gone(response: httpx.Response) -> bool:
    return response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}


def _reading(timeout: httpx.Timeout, read_s: float) -> httpx.Timeout:
    return httpx.Timeout(connect=timeout.connect, write=timeout.write, pool=None, read=read_s)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port):
            return httpx.URL(url).host
    except (ValueError, httpx.InvalidURL):
        pass
    raise UserError(f"{url!r} is not the URL of an API.", remedy="Use a URL such as http://127.0.0.1:8000.")


def _given(query: Query | None) -> dict[str, str | int | float | list[str]]:
    return {name: value for name, value in (query or {}).items() if value is not None}

"""One POST to an address that somebody else chose: guarded, bounded in time and size, never an exception."""

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import certifi
import httpcore

from services.notifier.answer import Answer
from services.notifier.connecting import Deadline, GuardedBackend
from shared.contracts.base import storable
from shared.notices.guard import Guard, Refused, Unresolved, refuse
from shared.notices.web_url import WebUrl

MOST_REDIRECTS = 3
MOST_RETRY_AFTER_S = 86_400.0
_EXCERPT = 500
#: these repeat the POST (RFC 9110, 15.4.8 and 15.4.9)
_REPEATED = frozenset({307, 308})
_GONE = 410
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class GuardedClient:
    """Sends deliveries; holds no connection between them, so that it may be shared by threads.

    Proxies, `.netrc` and other habits of HTTP clients are unknown to it: a proxy would resolve the name once more.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        connect_s: float,
        total_s: float,
        most_bytes: int,
        allow_http: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._connect_s = connect_s
        self._total_s = total_s
        self._most_bytes = most_bytes
        self._allow_http = allow_http
        self._tls = tls or trusted()

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """What came of it. The status decides: who has said 200 has the delivery, whatever its body does then."""
        deadline = Deadline(self._total_s)
        try:
            answer = self._followed(url, content, headers, deadline)
        except Refused as error:
            answer = Answer(False, None, 0.0, error=f"refused: {error.message}", refused=True)
        except Unresolved as error:
            answer = _failed(f"dns: {error.message}")
        except TimeoutError as error:
            answer = _failed(f"timeout: {error}")
        except ssl.SSLCertVerificationError as error:
            answer = _failed(f"tls: the certificate is not good: {error.verify_message}")
        except ssl.SSLError as error:
            answer = _failed(f"tls: {error.reason or 'the handshake failed'}")
        except httpcore.ProtocolError:  # its words may hold what the receiver sent
            answer = _failed("protocol: the answer is not HTTP, or it ended early")
        except OSError as error:
            answer = _failed(f"connection: {error.strerror or type(error).__name__}")
        return replace(answer, latency_ms=deadline.spent_s * 1000)

    def _followed(self, url: str, content: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        target = WebUrl.of(url, allow_http=self._allow_http)
        for _ in range(MOST_REDIRECTS + 1):
            came = self._sent(target, content, headers, deadline)
            if isinstance(came, Answer):
                return came
            target = came
        return _failed(f"http: more than {MOST_REDIRECTS} redirects")

    def _sent(self, target: WebUrl, content: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer | WebUrl:
        """One request on a connection of its own: its answer, or where a redirect leads."""
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
        )
        backend = GuardedBackend(self._guard, deadline)
        options = {"timeout": {"connect": self._connect_s}}
        with (
            httpcore.HTTPConnection(url.origin, ssl_context=self._tls, network_backend=backend) as connection,
            connection.stream(
                "POST", url, headers=_headers(target, content, headers), content=content, extensions=options
            ) as response,
        ):
            location = _header(response, b"location")
            if response.status in _REPEATED and location:
                return target.moved(location, allow_http=self._allow_http)
            return _answer(response, self._read(response))

    def _read(self, response: httpcore.Response) -> bytes:
        """The beginning of the body; nobody waits for the rest, and what breaks off is as good."""
        body = bytearray()
        with suppress(OSError, httpcore.ProtocolError):
            for chunk in response.iter_stream():
                body += chunk[: self._most_bytes - len(body)]
                if len(body) >= self._most_bytes:
                    break
        return bytes(body)


def trusted() -> ssl.SSLContext:
    """Believes the system's authorities, and Mozilla's where the system has none (a slim image)."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _headers(target: WebUrl, content: bytes, given: Mapping[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    """What is sent: ours last. Without compression an answer of many zeros stays as small as it looks."""
    sent = {}
    for name, value in given.items():
        if not (_HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            raise refuse(target.host, "a header holds what HTTP cannot carry")
        sent[name.lower()] = value.strip()
    sent |= {
        "host": target.place,
        "content-length": str(len(content)),
        "accept-encoding": "identity",
        "connection": "close",
    }
    sent.pop("transfer-encoding", None)
    return list(sent.items())


def _failed(error: str) -> Answer:
    return Answer(False, None, 0.0, error=storable(error)[:_EXCERPT])


def _answer(response: httpcore.Response, body: bytes) -> Answer:
    status = response.status
    excerpt = _excerpt(body) if _header(response, b"content-encoding") in (None, "identity") else ""
    if 200 <= status < 300:
        return Answer(True, status, 0.0, excerpt=excerpt)
    # 301, 302 and 303 are not followed: clients make a GET of the POST there, and an event would be lost in silence
    words = "a redirect that is not followed" if 300 <= status < 400 else "the receiver did not take it"
    return Answer(
        False,
        status,
        0.0,
        retry_after_s=_retry_after(_header(response, b"retry-after")),
        error=f"http: {status}, {words}",
        excerpt=excerpt,
        gone=status == _GONE,
    )


def _header(response: httpcore.Response, name: bytes) -> str | None:
    found = next((value for key, value in response.headers if key.lower() == name), None)
    return None if found is None else found.decode("latin-1").strip()


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait, from either form (RFC 9110, 10.2.3); None for what is neither."""
    if not text:
        return None
    if text.isascii() and text.isdecimal():
        return min(float(text), MOST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((aware - datetime.now(UTC)).total_seconds(), 0.0), MOST_RETRY_AFTER_S)


def _excerpt(body: bytes) -> str:
    """The beginning as one line of text that no terminal obeys."""
    text = body[: 4 * _EXCERPT].decode("utf-8", "replace")
    return storable(" ".join("".join(c if c.isprintable() else " " for c in text).split()))[:_EXCERPT]

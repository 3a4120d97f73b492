"""How often one may ask: a token bucket for each key, and for each address that has no known key.

Every process counts for itself: with three replicas behind a balancer a client gets up to three times the rate. Memory
is bounded: whoever was not seen for longest is forgotten, and starts again with a full bucket.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.afterwards import is_stream
from services.api.problems import problem
from shared.settings import Rate, Settings

_EXEMPT = frozenset({"/livez", "/readyz", "/metrics"})
_MOST = 10_000  #: keys and addresses remembered


class Buckets:
    """A bucket of `rate.burst` tokens for each name, filled with `rate.per_s`."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        self._rate, self._clock, self._most = rate, clock, most
        self._full: OrderedDict[str, tuple[float, float]] = OrderedDict()  #: name -> tokens, and when that was

    def wait_s(self, name: str) -> float:
        """Seconds until a token is there; 0 if one is."""
        return max(0.0, (1.0 - self._tokens(name)) / self._rate.per_s)

    def take(self, name: str) -> float:
        """Take a token if there is one; the seconds until there is otherwise, and 0 if it was taken."""
        wait_s = self.wait_s(name)
        if wait_s == 0.0:
            self._full[name] = (self._tokens(name) - 1.0, self._clock())
            self._full.move_to_end(name)
            while len(self._full) > self._most:
                self._full.popitem(last=False)
        return wait_s

    def _tokens(self, name: str) -> float:
        tokens, at_s = self._full.get(name, (float(self._rate.burst), self._clock()))
        return min(float(self._rate.burst), tokens + (self._clock() - at_s) * self._rate.per_s)

    def __len__(self) -> int:
        return len(self._full)


class RateLimit:
    """Refuses who asks too often, by header and address alone: before the body is read and the database is asked."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._keys = Buckets(settings.key_rate)
        self._addresses = Buckets(settings.anonymous_rate)
        self._failures = Buckets(settings.failed_rate)
        self._known: OrderedDict[str, None] = OrderedDict()  #: credentials that were good when they came last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"] in _EXEMPT:
            return await self._app(scope, receive, send)
        given, address = _credentials(scope), _address(scope)
        wait_s = self._wait_s(given, address, is_stream(scope))
        if wait_s > 0:
            return await _refuse(wait_s)(scope, receive, send)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and given is not None:
                self._learn(given, address, message["status"], scope)
            await send(message)

        return await self._app(scope, receive, watched)

    def _wait_s(self, given: str | None, address: str, stream: bool) -> float:
        """A stream is not counted: all of them come back at once when a server starts again."""
        if given is not None and given in self._known:
            return 0.0 if stream else self._keys.take(given)
        wait_s = self._failures.wait_s(address) if given is not None else 0.0
        return wait_s if wait_s > 0 or (stream and given is not None) else self._addresses.take(address)

    def _learn(self, given: str, address: str, status: int, scope: Scope) -> None:
        if status == 401:
            self._known.pop(given, None)
            self._failures.take(address)
        elif scope.get("state", {}).get("identity") is not None:
            self._known[given] = None
            self._known.move_to_end(given)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def _credentials(scope: Scope) -> str | None:
    """A name for what the request says about who sends it; a hash, because it is kept in memory."""
    given = dict(scope["headers"]).get(b"authorization")
    if not given and b"ticket=" in scope["query_string"]:
        given = scope["query_string"]
    return hashlib.sha256(given).hexdigest() if given else None


def _address(scope: Scope) -> str:
    """Who has one address of version 6 has 2^64 of them."""
    host = scope["client"][0] if scope.get("client") else "local"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(address if address.version == 4 else ip_network((int(address), 64), strict=False))


def _refuse(wait_s: float) -> ASGIApp:
    seconds = math.ceil(wait_s)
    return problem(
        429,
        "Too many requests from here.",
        f"Wait {seconds} s and send again. An operator sets the limits: FAULTLINE_KEY_RATE, FAULTLINE_ANONYMOUS_RATE, "
        "FAULTLINE_FAILED_RATE.",
        headers={"Retry-After": str(seconds)},
    )

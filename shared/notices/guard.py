"""Which addresses a delivery may go to: public ones, and the networks that the operator allows by name.

A subscriber chooses where we connect to, from inside the operator's network. So a name is resolved here, every address
that it has must be good, and the caller connects to one of the addresses that are returned, never to the name again: an
answer of the DNS that changes in between changes nothing.
"""

import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from threading import Thread

import structlog

from shared.contracts.base import storable
from shared.errors import Retryable, UserError

_log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address
#: addresses of a host, as text; raises `OSError` where there are none
Resolve = Callable[[str, int], Sequence[str]]

#: IANA's IPv4 special-purpose registry and multicast; spelled out, because `is_private` differs between Pythons
_NOT_PUBLIC_4 = {
    IPv4Network("0.0.0.0/8"): "unspecified",
    IPv4Network("10.0.0.0/8"): "private",
    IPv4Network("100.64.0.0/10"): "private (carrier-grade NAT)",
    IPv4Network("127.0.0.0/8"): "loopback",
    IPv4Network("168.63.129.16/32"): "a cloud's own service",  # public by number, yet Azure's host answers on it
    IPv4Network("169.254.0.0/16"): "link-local",
    IPv4Network("172.16.0.0/12"): "private",
    IPv4Network("192.0.0.0/24"): "reserved",
    IPv4Network("192.0.2.0/24"): "reserved",
    IPv4Network("192.88.99.0/24"): "reserved",
    IPv4Network("192.168.0.0/16"): "private",
    IPv4Network("198.18.0.0/15"): "reserved",
    IPv4Network("198.51.100.0/24"): "reserved",
    IPv4Network("203.0.113.0/24"): "reserved",
    IPv4Network("224.0.0.0/4"): "multicast",
    IPv4Network("240.0.0.0/4"): "reserved",
}
#: all that IANA gives out to networks; outside lie loopback, link-local, unique local, multicast, IPv4-mapped and more
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = {
    IPv6Network("2001::/23"): "reserved",  # Teredo, ORCHID, benchmarks
    IPv6Network("2001:db8::/32"): "reserved",
    IPv6Network("2002::/16"): "reserved",  # 6to4, which carries any IPv4 address
    IPv6Network("3fff::/20"): "reserved",
}
#: where a network without IPv4 puts the public IPv4 hosts (RFC 6052): what is carried decides
_NAT64 = IPv6Network("64:ff9b::/96")
#: no public name ends so; nor is one without a dot public. Clouds serve credentials under such names
_INNER_NAMES = frozenset({"internal", "local", "localhost", "localdomain", "lan", "corp", "home", "arpa", "svc"})
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
#: the C library reads a name that ends in such a part as an IPv4 address: 2130706433, 0x7f.1, 127.1, 0177.0.0.1
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253
_INNER = "it is a name of an inner network"


class Refused(UserError):
    """Our own guard does not let this delivery go out."""

    remedy = "Use a public https address, or ask an operator to allow the network that it is in."

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host or 'The address'} is refused: {reason}.")
        self.host = host
        self.reason = reason


class Unresolved(Retryable):
    """The name of a host has no address at present."""


def refuse(host: str, reason: str) -> Refused:
    """The error to raise, logged here, so that no refusal goes unseen. Neither may hold a path or a query: secrets."""
    shown = storable(host)[:_LONGEST_NAME]
    _log.warning("a delivery is refused", host=shown, reason=reason)
    return Refused(shown, reason)


def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of a host as the system knows them. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(item[4][0]) for item in found]


class Guard:
    """Says to which addresses a host and port may be connected: early, of what somebody types, and at each connect."""

    def __init__(
        self, allowed: Sequence[IPv4Network | IPv6Network] = (), *, resolve: Resolve = resolve_by_system
    ) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def check(self, host: str, port: int, *, within_s: float | None = None) -> list[Address]:
        """The addresses of `host`, all of them good, in the order to try them.

        Raises `Refused`, `Unresolved` where the name has no address, `TimeoutError` after `within_s`.
        """
        literal = self._read(host, port)
        if literal is not None:
            return [literal]
        addresses = self._resolved(host.lower(), port, within_s)
        for address in addresses:
            self._judge(host, address)
            if _is_inner(host) and not self._is_allowed(address):
                raise refuse(host, _INNER)
        return addresses

    def look(self, host: str, port: int) -> None:
        """Raises `Refused` for what `check` refuses whatever the addresses of `host` are; none are asked for."""
        if self._read(host, port) is None and _is_inner(host) and not self._allowed:
            raise refuse(host, _INNER)

    def _read(self, host: str, port: int) -> Address | None:
        """The address, if `host` is one, and a good one; None if it is a name."""
        if not 1 <= port <= 65_535:
            raise refuse(host, f"there is no port {port}")
        literal = _literal(host)
        if literal is None:
            _must_be_name(host)
        else:
            self._judge(host, literal)
        return literal

    def _judge(self, host: str, address: Address) -> None:
        why = None if self._is_allowed(address) else _not_public(address)
        if why is not None:
            raise refuse(host, f"{address} is {why}")

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)

    def _resolved(self, name: str, port: int, within_s: float | None) -> list[Address]:
        """In a thread of its own, because the system's resolver knows no deadline; it ends by its own timeouts."""
        found: Future[Sequence[str]] = Future()

        def run() -> None:
            try:
                found.set_result(self._resolve(name, port))
            except (OSError, UnicodeError) as error:
                found.set_exception(error)

        Thread(target=run, name="resolve", daemon=True).start()
        try:
            addresses = list(dict.fromkeys(ip_address(text) for text in found.result(within_s)))
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:
            raise Unresolved(f"{name} has no address: {getattr(error, 'strerror', None) or error}") from error
        if not addresses:
            raise Unresolved(f"{name} has no address")
        return addresses


def _literal(host: str) -> Address | None:
    """An address in its plain form; any other form is for `_must_be_name` to refuse."""
    if not host.isascii() or "%" in host:
        return None
    try:
        return ip_address(host)
    except (AddressValueError, ValueError):
        return None


def _must_be_name(host: str) -> None:
    """Raises `Refused` for what is no name, or what some reader takes for an address."""
    if not host.isascii():
        raise refuse(host, "it is not in ASCII; write an international name as xn--")
    labels = host.lower().split(".")
    if len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise refuse(host, "it is neither a host name nor an address in its plain form")
    if _NUMBER.fullmatch(labels[-1]):
        raise refuse(host, "it is a number; write an address as four decimal numbers")


def _is_inner(host: str) -> bool:
    labels = host.lower().split(".")
    return len(labels) == 1 or labels[-1] in _INNER_NAMES


def _not_public(address: Address) -> str | None:
    """What an address is that no delivery goes to; None if it is public."""
    if isinstance(address, IPv4Address):
        return next((word for network, word in _NOT_PUBLIC_4.items() if address in network), None)
    if address.scope_id is not None:
        return "bound to one interface"
    if address in _NAT64:
        carried = _not_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        return f"{carried}, behind NAT64" if carried else None
    if address not in _PUBLIC_6:
        return "not a public IPv6 address"
    return next((word for network, word in _NOT_PUBLIC_6.items() if address in network), None)

"""Connections to addresses that were checked, under a deadline for everything."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import httpcore

from shared.notices.guard import Address, Guard

_CHUNK = 65_536


class Deadline:
    """The end of the whole: name, connection, all redirects, the body."""

    def __init__(self, total_s: float) -> None:
        self._start = monotonic()
        self.total_s = total_s

    @property
    def spent_s(self) -> float:
        """Since the beginning."""
        return monotonic() - self._start

    def left(self, at_most: float | None = None) -> float:
        """Seconds until the end, or `at_most`. Raises `TimeoutError` when there are none."""
        left = self.total_s - self.spent_s
        if left <= 0:
            raise TimeoutError(f"no answer within {self.total_s:g} s")
        return left if at_most is None else min(left, at_most)


@contextmanager
def _or_late(words: str) -> Iterator[None]:
    """The system says "timed out", of whatever."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(words) from error


class Stream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline; the timeouts that are handed in only shorten a handshake."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._late = f"no answer within {deadline.total_s:g} s"

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline holds
        """What is there, at most `max_bytes`. Raises `OSError`, `TimeoutError` among them."""
        self._sock.settimeout(self._deadline.left())
        with _or_late(self._late):
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline holds
        """All of `buffer`. Raises `TimeoutError`; `httpcore.WriteError` where the other side reads no more.

        After the latter httpcore still reads the answer: who refuses a request early (413) closes before its end.
        """
        rest = memoryview(buffer)
        try:
            while rest:
                self._sock.settimeout(self._deadline.left())
                with _or_late(self._late):
                    rest = rest[self._sock.send(rest[:_CHUNK]) :]
        except TimeoutError:
            raise
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """At once."""
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Stream":
        """The same connection, encrypted. Raises `OSError`, `ssl.SSLError` among them."""
        try:
            self._sock.settimeout(self._deadline.left(timeout))
            with _or_late("no connection in time"):
                return Stream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname), self._deadline)
        except (OSError, ValueError):
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002 - there is nothing to tell
        """Nothing: one request per connection needs to know nothing about it."""
        return None


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves through the guard, and connects to the very addresses that it has checked."""

    def __init__(self, guard: Guard, deadline: Deadline) -> None:
        self._guard = guard
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> Stream:
        """The first address that takes the connection. Raises `Refused`, `Unresolved`, `OSError`."""
        with _or_late("the name of the host was not resolved in time"):
            addresses = self._guard.check(host, port, within_s=self._deadline.left())
        failed: OSError | None = None
        for address in addresses:
            try:
                return Stream(_connected(address, port, self._deadline.left(timeout)), self._deadline)
            except OSError as error:
                failed = error
        raise failed or OSError("no address")


def _connected(address: Address, port: int, within_s: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(within_s)
        with _or_late(f"no connection within {within_s:.3g} s"):
            sock.connect((str(address), port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock

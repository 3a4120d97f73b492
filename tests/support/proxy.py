"""A TCP proxy that can be told to misbehave: it stands between a process and a server and swallows, delays or cuts."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BLOCK = 1 << 16


class _Link:
    """One connection and its two directions, each carried by a thread."""

    def __init__(self, proxy: "Proxy", client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = (client, server)
        self.silent = threading.Event()
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def close(self) -> None:
        """Both ends see the end of the connection."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                if self.silent.is_set():
                    continue  # read and forgotten: the sender believes that it arrived
                time.sleep(self._proxy.delay_s)
                if not self.silent.is_set():
                    target.sendall(block)
        if not self.silent.is_set():
            self.close()
            self._proxy.forget(self)


class Proxy:
    """Listens on a port of this machine; `target` is the path of a Unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._swallowing = False
        self._refusing = False
        self.delay_s = 0.0  #: for each block, in both directions
        self.accepted = 0  #: connections so far
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def strand(self) -> None:
        """Half-open: what is connected now never hears anything again, not even the end. New connections work."""
        with self._lock:
            for link in self._links:
                link.silent.set()

    def swallow(self) -> None:
        """A network that drops every packet: old and new connections stand and carry nothing."""
        self._swallowing = True
        self.strand()

    def cut(self) -> None:
        """Close every connection, and each new one at once."""
        self._refusing = True
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.close()

    def resume(self) -> None:
        """New connections work again; what was stranded stays so, as it would."""
        self._swallowing = self._refusing = False
        self.delay_s = 0.0

    def forget(self, link: _Link) -> None:
        """A connection has ended."""
        with self._lock:
            self._links.discard(link)

    def close(self) -> None:
        """End the proxy and every connection."""
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                server.connect(str(self._target))
            except OSError:
                client.close()
                server.close()
                continue
            with self._lock:
                link = _Link(self, client, server)
                self._links.add(link)
                if self._swallowing:
                    link.silent.set()


@contextmanager
def proxied(target: Path) -> Iterator[Proxy]:
    """A proxy for the length of a `with` block."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()

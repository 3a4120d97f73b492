"""A receiver of webhooks on loopback, over HTTP or HTTPS, that answers as a test wants."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from threading import Event, Thread
from typing import Any

import trustme

from services.notifier.client import GuardedClient
from shared.notices.guard import Guard

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass
class Request:
    """What the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A running receiver."""

    port: int
    got: list[Request] = field(default_factory=list)
    mend: "Callable[[Reply], None]" = lambda _: None  #: answer so from now on
    ended: Event = field(default_factory=Event)  #: set when the test is over: what hangs may stop
    sent: int = 0  #: bytes of a body without end that went out


class Handler(BaseHTTPRequestHandler):
    """Keeps the request, then does what the test says."""

    receiver: Receiver
    reply: "Reply"

    def do_POST(self) -> None:
        """One delivery."""
        body = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(body) < length:
            return  # the sender was killed
        self.receiver.got.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        with suppress(OSError):  # a client that has heard enough
            type(self).reply(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


Reply = Callable[[Handler], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  #: the default of 5 resets connections that come side by side

    def handle_error(self, *_arguments: Any) -> None:
        """A client that goes away is what these tests are about."""


@contextmanager
def receiving(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver while the block runs."""
    receiver = Receiver(0)
    handler = type("Its", (Handler,), {"receiver": receiver, "reply": staticmethod(reply)})
    receiver.mend = lambda better: setattr(handler, "reply", staticmethod(better))
    with _Server(("127.0.0.1", 0), handler) as server:
        receiver.port = server.server_address[1]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """The receiver's side, with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The sender's side, which believes this authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def client_of(guard: Guard | None = None, **options: Any) -> GuardedClient:
    """A client that may connect to loopback, over HTTP too."""
    limits = {"connect_s": 5.0, "total_s": 10.0, "most_bytes": 65_536, "allow_http": True} | options
    return GuardedClient(guard or Guard(LOOPBACK), **limits)

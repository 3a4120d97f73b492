"""A mail server on loopback that answers as a test wants."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from services.notifier.message import Link, Message
from shared.settings import Settings

USER, PASSWORD = "faultline", "a-long-password"
MESSAGE = Message(
    subject="Training bearing-cnn has failed",
    text="The loss is not a number since epoch 3 – at 12 °C.",
    brief="The loss is not a number since epoch 3 – at 12 °C.",
    html="<p>The loss is not a number since epoch 3 – at 12 °C.</p>",
    severity="failure",
    links=(Link("Show the run", "https://f.example/runs/1"),),
    unsubscribe_url="https://f.example/unsubscribe/" + "t" * 120,
)


@dataclass
class Mailbox:
    """What came, and what is answered."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  #: recipient -> answer
    data_answer: str = "250 2.0.0 queued as 4711"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        """Take a recipient, or not."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        """Take a message, or not."""
        if self.data_answer.startswith("250"):
            self.raw.append(envelope.content)
            self.got.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return self.data_answer


def _known(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


class _Controller(Controller):
    """Knows the port that the system chose."""

    server: asyncio.Server

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mailbox(tls: ssl.SSLContext | None = None, *, implicit: bool = False, auth: bool = False) -> Iterator[Mailbox]:
    """A server while the block runs: with STARTTLS, with TLS from the beginning (`implicit`), or with neither."""
    box = Mailbox()
    options: dict[str, Any] = {"decode_data": False}
    if tls is not None:
        options |= {"ssl_context": tls} if implicit else {"tls_context": tls, "require_starttls": True}
    if auth:
        options |= {"authenticator": _known, "auth_required": True}
    controller = _Controller(box, hostname="127.0.0.1", port=0, server_hostname="mail.test", **options)
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()


def mail_settings(port: int, security: str = "none", **more: Any) -> Settings:
    """Settings of a platform whose mail server listens there."""
    values: dict[str, Any] = {
        "database_url": "postgresql://nowhere/none",
        "broker_url": "redis://nowhere",
        "artifact_store_url": "file:///nowhere",
        "smtp_host": "localhost",
        "smtp_port": port,
        "smtp_security": security,
        "mail_from": "faultline@example.org",
    }
    return Settings(**(values | more))

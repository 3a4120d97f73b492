"""Mail through the operator's server: one connection and one message per delivery, never an exception for its troubles.

The server is the operator's own setting, so that it may stand anywhere; whom to trust is checked as for everything.
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from threading import Timer

from services.notifier.answer import Answer
from services.notifier.client import trusted
from services.notifier.connecting import Deadline
from services.notifier.message import Message
from shared.errors import UserError
from shared.notices.words import line
from shared.settings import Settings

_SENDER = "Faultline"
_EXCERPT = 500
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
#: as long as RFC 5322 (2.1.1) lets a line be: an address that is folded at 78 is encoded, and no link any more
_LONG_HEADERS = SMTP.clone(max_line_length=998)


class _Client(smtplib.SMTP):
    """One conversation that ends by the deadline, whatever the server does."""

    said: tuple[int, bytes] = (0, b"")  #: the last word about the message itself

    def __init__(self, settings: Settings, deadline: Deadline, tls: ssl.SSLContext) -> None:
        self._wraps = tls if settings.smtp_security == "tls" else None
        self._deadline = deadline
        self._connect_s = settings.notify_connect_s
        self._end = Timer(deadline.left(), self._cut)
        self._end.daemon = True
        # the name that we greet with: looking for our own could take longer than all the rest
        greeting = _sender(settings).domain
        super().__init__(settings.smtp_host or "", settings.smtp_port, greeting, timeout=deadline.total_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), self._deadline.left(self._connect_s))
        try:
            if self._wraps is not None:
                sock = self._wraps.wrap_socket(sock, server_hostname=host)
            sock.settimeout(min(timeout, self._deadline.left()))
        except OSError:
            sock.close()
            raise
        self._end.start()
        return sock

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        """Also keeps what was answered."""
        self.said = super().data(msg)
        return self.said

    def _cut(self) -> None:
        """Timeouts of sockets count from the last byte; this ends a server that sends one now and then."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """At once."""
        self._end.cancel()
        super().close()


def send_mail(
    settings: Settings, to: Sequence[str], message: Message, message_id: str, *, tls: ssl.SSLContext | None = None
) -> Answer:
    """One attempt; `message_id` is the delivery's, so that a repeat is known as one.

    A message that one of several recipients takes is delivered: a repeat would reach that one again. `Answer.error`
    names the others. Raises `UserError` where settings or addresses cannot be used.
    """
    if settings.smtp_host is None:
        return Answer(False, None, 0.0, error="smtp: no server is set (FAULTLINE_SMTP_HOST)", again=False)
    mail = mail_of(settings, to, message, message_id)
    deadline = Deadline(settings.notify_total_s)
    try:
        answer = _converse(settings, list(to), mail.as_bytes(), deadline, tls or trusted())
    except (smtplib.SMTPConnectError, smtplib.SMTPHeloError, smtplib.SMTPAuthenticationError) as error:
        # nothing against this message: it may go once the operator has set it right
        answer = replace(_said(error.smtp_code, error.smtp_error, "the server did not let us in"), again=True)
    except smtplib.SMTPResponseException as error:
        answer = _said(error.smtp_code, error.smtp_error, "the server did not take it")
    except smtplib.SMTPRecipientsRefused as error:
        answer = _nobody(error.recipients)
    except smtplib.SMTPServerDisconnected as error:
        answer = _failed(f"connection: {error}" if deadline.spent_s < deadline.total_s else _late(deadline))
    except smtplib.SMTPException as error:
        answer = _failed(f"smtp: {error}")
    except ssl.SSLCertVerificationError as error:
        answer = _failed(f"tls: the certificate is not good: {error.verify_message}")
    except ssl.SSLError as error:
        answer = _failed(f"tls: {error.reason or 'the handshake failed'}")
    except TimeoutError:
        answer = _failed(_late(deadline))
    except socket.gaierror as error:
        answer = _failed(f"dns: the mail server has no address: {error.strerror}")
    except OSError as error:
        late = deadline.spent_s >= deadline.total_s
        answer = _failed(_late(deadline) if late else f"connection: {error.strerror or type(error).__name__}")
    return replace(answer, latency_ms=deadline.spent_s * 1000)


def mail_of(settings: Settings, to: Sequence[str], message: Message, message_id: str) -> EmailMessage:
    """The whole mail. Raises `UserError` for an address or an id that no mail can have."""
    if not _ID.fullmatch(message_id):
        raise UserError("The id of a mail holds what no header can.")
    sender = _sender(settings)
    mail = EmailMessage(SMTP)
    mail["From"] = sender
    mail["To"] = [_address(one) for one in to]
    mail["Subject"] = _words(message.subject, 200)
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{message_id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation answers it
    if message.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    # in ASCII whatever it holds: not every server takes eight bits
    mail.set_content(_plain(message), cte="quoted-printable")
    mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
    mail.policy = _LONG_HEADERS
    return mail


def _converse(settings: Settings, to: list[str], content: bytes, deadline: Deadline, tls: ssl.SSLContext) -> Answer:
    with closing(_Client(settings, deadline, tls)) as client:
        if settings.smtp_security == "starttls":
            client.starttls(context=tls)
        if settings.smtp_user is not None and settings.smtp_password is not None:
            client.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        left_out = client.sendmail(_sender(settings).addr_spec, to, content)
        with suppress(OSError):  # it has the message; what it says to our goodbye is nothing to wait for
            client.putcmd("quit")
    error = f"smtp: taken, but not for {_who(left_out)}" if left_out else None
    code, words = client.said
    return Answer(True, code, 0.0, error=error, excerpt=_excerpt(words))


def _plain(message: Message) -> str:
    parts = [message.subject, message.text, message.links_text]
    if message.unsubscribe_url:
        parts.append(f"Unsubscribe: {message.unsubscribe_url}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _sender(settings: Settings) -> Address:
    name, address = parseaddr(settings.mail_from or "")
    return _address(address, name or _SENDER)


def _address(text: str, name: str = "") -> Address:
    if not _ADDRESS.fullmatch(text):
        raise UserError(f"{line(text, 60)!r} is no mail address.", remedy="Write it in ASCII, as name@domain.")
    user, _, domain = text.partition("@")
    return Address(_words(name, 100), user, domain)


def _words(text: str, most: int) -> str:
    """A line for a header. `email` decodes what looks encoded, and would then write out the line breaks in it."""
    return line(text, most).replace("=?", "= ?")


def _said(code: int, words: bytes | str, error: str) -> Answer:
    """A refusal: 4yz passes, 5yz does not (RFC 5321, 4.2.1)."""
    return Answer(False, code, 0.0, error=f"smtp: {code}, {error}", excerpt=_excerpt(words), again=code < 500)


def _nobody(refused: dict[str, tuple[int, bytes]]) -> Answer:
    """No recipient was taken; where one may be later, all of them are tried again."""
    code, words = min(refused.values(), key=lambda said: said[0])
    return replace(
        _said(code, words, "no recipient was taken"), error=_excerpt(f"smtp: taken for nobody: {_who(refused)}")
    )


def _who(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{line(address, 80)} ({code})" for address, (code, _) in refused.items())


def _failed(error: str) -> Answer:
    return Answer(False, None, 0.0, error=_excerpt(error))


def _late(deadline: Deadline) -> str:
    return f"timeout: no answer within {deadline.total_s:g} s"


def _excerpt(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return line(text, _EXCERPT)

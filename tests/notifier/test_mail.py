"""Mail: what arrives at a real server, what its answers mean, and what it is not told."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.mail import mail_of, send_mail
from services.notifier.rendering import render
from shared.contracts.notices import NOTICES
from shared.errors import UserError
from tests.notifier.mailbox import MESSAGE, PASSWORD, USER, mail_settings, mailbox
from tests.notifier.receiver import client_tls, server_tls
from tests.notifier.test_rendering import AT

TO = ["anna@example.org"]
ID = "0199f3a2-7c51-7e0a-9d3c-2f6f3b1d8a10"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_mail_arrives_as_text_and_as_html_with_its_headers() -> None:
    with mailbox() as box:
        answer = send_mail(mail_settings(box.port), [*TO, "bert@example.org"], MESSAGE, ID)
    assert (answer.ok, answer.status, answer.error) == (True, 250, None)
    assert answer.excerpt == "2.0.0 queued as 4711"
    assert answer.latency_ms > 0
    [mail], [recipients] = box.got, box.recipients
    assert recipients == ["anna@example.org", "bert@example.org"]
    assert mail["From"] == "Faultline <faultline@example.org>"
    assert mail["To"] == "anna@example.org, bert@example.org"
    assert mail["Subject"] == "Training bearing-cnn has failed"
    assert mail["Message-ID"] == f"<{ID}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime is not None
    assert mail["List-Unsubscribe"] == f"<{MESSAGE.unsubscribe_url}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain, html = mail.iter_parts()
    assert (mail.get_content_type(), plain.get_content_type(), html.get_content_type()) == (
        "multipart/alternative",
        "text/plain",
        "text/html",
    )
    text = "\n".join(plain.get_content().splitlines())
    assert "Training bearing-cnn has failed\n\nThe loss is not a number since epoch 3 – at 12 °C." in text
    assert "Show the run: https://f.example/runs/1" in text
    assert f"Unsubscribe: {MESSAGE.unsubscribe_url}" in text
    assert html.get_content().strip() == MESSAGE.html


def test_the_bytes_are_ascii_in_lines_that_every_server_takes() -> None:
    with mailbox() as box:
        send_mail(mail_settings(box.port), TO, MESSAGE, ID)
    [raw] = box.raw
    assert raw.isascii()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(len(line) for line in head.split(b"\r\n")) <= 998
    assert max(len(line) for line in body.split(b"\r\n")) <= 78


def test_a_repeat_carries_the_same_id() -> None:
    with mailbox() as box:
        for _ in range(2):
            send_mail(mail_settings(box.port), TO, MESSAGE, ID)
    assert [mail["Message-ID"] for mail in box.got] == [f"<{ID}@example.org>"] * 2


def test_a_sender_may_have_a_name() -> None:
    mail = mail_of(mail_settings(1, mail_from="The bench <bench@example.org>"), TO, MESSAGE, ID)
    assert mail["From"].addresses[0].addr_spec == "bench@example.org"


def test_without_a_way_out_there_is_no_header_for_it() -> None:
    mail = mail_of(mail_settings(1), TO, replace(MESSAGE, unsubscribe_url=None), ID)
    assert "List-Unsubscribe" not in mail
    assert "List-Unsubscribe-Post" not in mail


@pytest.mark.parametrize(("security", "implicit"), [("starttls", False), ("tls", True)])
def test_mail_goes_encrypted_to_a_server_with_a_good_certificate(
    authority: trustme.CA, security: str, implicit: bool
) -> None:
    with mailbox(server_tls(authority, "localhost"), implicit=implicit) as box:
        answer = send_mail(mail_settings(box.port, security), TO, MESSAGE, ID, tls=client_tls(authority))
    assert answer.ok
    assert box.encrypted == [True]


@pytest.mark.parametrize(("security", "implicit"), [("starttls", False), ("tls", True)])
@pytest.mark.parametrize("name", ["localhost", "mail.example.org"])
def test_a_certificate_of_nobody_or_for_another_name_gets_nothing(
    authority: trustme.CA, security: str, implicit: bool, name: str
) -> None:
    server, believed = (trustme.CA(), authority) if name == "localhost" else (authority, authority)
    with mailbox(server_tls(server, name), implicit=implicit) as box:
        answer = send_mail(mail_settings(box.port, security), TO, MESSAGE, ID, tls=client_tls(believed))
    assert (answer.ok, answer.status, box.got) == (False, None, [])
    assert (answer.error or "").startswith("tls: the certificate is not good")
    assert answer.worth_retrying


def test_a_server_without_starttls_gets_no_mail_in_the_clear() -> None:
    with mailbox() as box:
        answer = send_mail(mail_settings(box.port, "starttls"), TO, MESSAGE, ID)
    assert (answer.ok, box.got) == (False, [])
    assert "STARTTLS" in (answer.error or "")


def test_the_server_knows_us_by_name_and_password(authority: trustme.CA) -> None:
    with mailbox(server_tls(authority, "localhost"), auth=True) as box:
        settings = mail_settings(box.port, "starttls", smtp_user=USER, smtp_password=PASSWORD)
        assert send_mail(settings, TO, MESSAGE, ID, tls=client_tls(authority)).ok


def test_a_wrong_password_is_told_without_it_and_may_be_put_right(authority: trustme.CA) -> None:
    with mailbox(server_tls(authority, "localhost"), auth=True) as box:
        settings = mail_settings(box.port, "starttls", smtp_user=USER, smtp_password="another-password")
        answer = send_mail(settings, TO, MESSAGE, ID, tls=client_tls(authority))
    assert (answer.ok, answer.status, answer.worth_retrying) == (False, 535, True)
    assert "another-password" not in repr(answer)


@pytest.mark.parametrize(
    ("said", "status", "again"),
    [("451 4.3.0 try later", 451, True), ("552 5.3.4 too big", 552, False), ("421 4.3.2 closing", 421, True)],
)
def test_a_refused_message_is_tried_again_if_the_refusal_passes(said: str, status: int, again: bool) -> None:
    with mailbox() as box:
        box.data_answer = said
        answer = send_mail(mail_settings(box.port), TO, MESSAGE, ID)
    assert (answer.ok, answer.status, answer.worth_retrying) == (False, status, again)
    assert answer.excerpt == said[4:]
    assert (answer.error or "").startswith(f"smtp: {status}")


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [("550 no such user", "550 no such user", False), ("550 no such user", "450 busy", True)],
)
def test_a_mail_that_no_recipient_takes_is_tried_again_if_one_may_later(first: str, second: str, again: bool) -> None:
    with mailbox() as box:
        box.refused = {"anna@example.org": first, "bert@example.org": second}
        answer = send_mail(mail_settings(box.port), ["anna@example.org", "bert@example.org"], MESSAGE, ID)
    assert (answer.ok, answer.worth_retrying, box.got) == (False, again, [])
    assert answer.error == f"smtp: taken for nobody: anna@example.org (550), bert@example.org ({second[:3]})"


def test_a_mail_that_one_recipient_takes_is_delivered_and_names_the_others() -> None:
    with mailbox() as box:
        box.refused = {"bert@example.org": "550 no such user"}
        answer = send_mail(mail_settings(box.port), ["anna@example.org", "bert@example.org"], MESSAGE, ID)
    assert answer.ok
    assert answer.error == "smtp: taken, but not for bert@example.org (550)"
    assert box.recipients == [["anna@example.org"]]


def test_a_server_that_is_not_there_may_come_back() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = send_mail(mail_settings(taken.getsockname()[1]), TO, MESSAGE, ID)
    assert (answer.ok, answer.status, answer.worth_retrying) == (False, None, True)
    assert (answer.error or "").startswith("connection: ")


@contextmanager
def dripping(greeting: bytes) -> Iterator[int]:
    """A server that sends a greeting without end, one byte every few milliseconds."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(greeting)
                while greeting and not over.wait(0.02):
                    try:
                        peer.send(b".")
                    except OSError:
                        return
                over.wait()

        thread = Thread(target=drip)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            socket.create_connection(server.getsockname()).close()  # where nobody came, it still waits
            thread.join()


@pytest.mark.parametrize("greeting", [b"", b"220 "])
def test_a_server_that_hangs_or_drips_is_left_in_time(greeting: bytes) -> None:
    with dripping(greeting) as port:
        answer = send_mail(mail_settings(port, notify_total_s=0.3), TO, MESSAGE, ID)
    assert answer.error == "timeout: no answer within 0.3 s"
    assert answer.worth_retrying
    assert answer.latency_ms < 3000


def test_without_a_server_nothing_is_sent_nor_tried_again() -> None:
    answer = send_mail(mail_settings(1, smtp_host=None), TO, MESSAGE, ID)
    assert (answer.ok, answer.worth_retrying) == (False, False)
    assert "FAULTLINE_SMTP_HOST" in (answer.error or "")


@pytest.mark.parametrize("to", ["anna@example.org\r\nBcc: all@example.org", "anna", "änna@example.org", "a@b, c@d", ""])
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(UserError):
        mail_of(mail_settings(1), [to], MESSAGE, ID)


@pytest.mark.parametrize("message_id", ["a>\r\nBcc: all@example.org", "", "a b"])
def test_what_is_no_id_is_refused(message_id: str) -> None:
    with pytest.raises(UserError):
        mail_of(mail_settings(1), TO, MESSAGE, message_id)


@given(
    name=st.text() | st.sampled_from(["a\r\nBcc: all@example.org\r\n\r\nhello", "=?utf-8?q?=0D=0ABcc:_x?=", "ä" * 900])
)
def test_no_name_becomes_a_header_or_a_part(name: str) -> None:
    message = render("run.failed", NOTICES["run.failed"].example | {"name": name, "reason": name}, AT)
    usual = mail_of(mail_settings(1), TO, MESSAGE, ID)
    mail = mail_of(mail_settings(1), TO, replace(message, unsubscribe_url=MESSAGE.unsubscribe_url), ID)
    head = mail.as_bytes().partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    assert [name.decode() for name in names] == usual.keys()
    assert len(list(mail.iter_parts())) == 2

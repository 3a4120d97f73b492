"""`services.notifier.client`: one delivery to a real receiver that is good, slow, hostile or away."""

import socket
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from typing import Any

import pytest
import trustme
from standardwebhooks import Webhook

from services.notifier.answer import Answer
from services.notifier.client import GuardedClient
from services.notifier.webhook import new_secret, sign
from shared.notices.guard import Guard
from tests.notifier.receiver import LOOPBACK, Handler, Reply, client_of, client_tls, receiving, server_tls

BODY = b'{"kind":"run.failed"}'


def posted(reply: Reply, **options: Any) -> Answer:
    with receiving(reply) as receiver:
        return client_of(**options).post(f"http://127.0.0.1:{receiver.port}/hook", BODY, {})


def test_a_delivery_arrives_whole_and_its_signature_is_verified_by_the_reference_library() -> None:
    secret = new_secret()
    with receiving(lambda handler: handler.answer(200, b"thank you")) as receiver:
        headers = sign([new_secret(), secret], "msg_1", datetime.now(UTC), BODY)
        answer = client_of().post(
            f"http://127.0.0.1:{receiver.port}/hook?key=1", BODY, headers | {"Content-Type": "application/json"}
        )
    assert (answer.ok, answer.status, answer.excerpt, answer.error) == (True, 200, "thank you", None)
    assert answer.latency_ms > 0
    [got] = receiver.got
    assert (got.path, got.headers["content-type"]) == ("/hook?key=1", "application/json")
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert Webhook(secret).verify(got.body, got.headers) == {"kind": "run.failed"}


def test_the_headers_of_the_connection_are_ours_whatever_the_caller_says() -> None:
    with receiving(lambda handler: handler.answer(204)) as receiver:
        client_of().post(
            f"http://127.0.0.1:{receiver.port}/",
            BODY,
            {"Host": "other", "Content-Length": "1", "Transfer-Encoding": "chunked", "X-Own": " yes "},
        )
    [got] = receiver.got
    assert (got.body, got.headers["host"]) == (BODY, f"127.0.0.1:{receiver.port}")
    assert got.headers["x-own"] == "yes"
    assert "transfer-encoding" not in got.headers


@pytest.mark.parametrize("header", [("X-A", "b\r\nX-C: d"), ("X-A\r\nX-C", "d"), ("X-A", "ü"), ("", "b"), ("X A", "b")])
def test_a_header_that_would_be_two_is_refused(header: tuple[str, str]) -> None:
    answer = client_of().post("http://127.0.0.1:9/", BODY, dict([header]))
    assert answer.error == "refused: 127.0.0.1 is refused: a header holds what HTTP cannot carry."
    assert answer.refused


# -- what receivers say


def test_an_error_of_the_receiver_is_an_answer_with_its_beginning_as_one_plain_line() -> None:
    answer = posted(lambda handler: handler.answer(500, "Ouch:\n\x1b[31mörk\x00\u202e".encode() + b"x" * 5000))
    assert (answer.ok, answer.status, answer.error) == (False, 500, "http: 500, the receiver did not take it")
    assert answer.excerpt.startswith("Ouch: [31mörk xxx")
    assert len(answer.excerpt) == 500
    assert answer.worth_retrying


def test_a_compressed_answer_is_not_unpacked() -> None:
    assert posted(lambda handler: handler.answer(200, b"\x1f\x8b", Content_Encoding="gzip")).excerpt == ""


def test_gone_means_never_again() -> None:
    answer = posted(lambda handler: handler.answer(410))
    assert (answer.ok, answer.gone, answer.worth_retrying) == (False, True, False)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7.0), ("0", 0.0), ("999999", 86_400.0), ("9" * 5000, 86_400.0), ("-3", None), ("soon", None), ("٣", None)],
)
def test_too_many_requests_tells_how_long_to_wait_in_seconds(text: str, wait_s: float | None) -> None:
    def reply(handler: Handler) -> None:
        value = text.encode().decode("latin-1")
        handler.answer(429, Retry_After=value)

    answer = posted(reply)
    assert (answer.status, answer.retry_after_s, answer.worth_retrying) == (429, wait_s, True)


@pytest.mark.parametrize(("ahead_s", "wait_s"), [(3600, 3600), (-3600, 0), (30 * 86_400, 86_400)])
def test_too_many_requests_tells_until_when_to_wait_as_a_date(ahead_s: int, wait_s: int) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    assert posted(lambda handler: handler.answer(503, Retry_After=date)).retry_after_s == pytest.approx(wait_s, abs=5)


@pytest.mark.parametrize("date", ["Mon, 99 Nov 2026 99:00:00 GMT", "Tue, 24 Nov 99999999 00:00:00 GMT", "Tue, 24 Nov"])
def test_a_date_that_does_not_exist_says_nothing(date: str) -> None:
    assert posted(lambda handler: handler.answer(503, Retry_After=date)).retry_after_s is None


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_make_a_get_of_the_post_is_a_failed_answer(status: int) -> None:
    with receiving(lambda handler: handler.answer(status, Location="/other")) as receiver:
        answer = client_of().post(f"http://127.0.0.1:{receiver.port}/hook", BODY, {})
    assert (answer.ok, answer.status) == (False, status)
    assert answer.error == f"http: {status}, a redirect that is not followed"
    assert [got.path for got in receiver.got] == ["/hook"]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_within_the_host_repeats_the_post_with_all_its_headers(status: int) -> None:
    def reply(handler: Handler) -> None:
        handler.answer(200) if handler.path == "/new" else handler.answer(status, Location="/new")

    with receiving(reply) as receiver:
        answer = client_of().post(f"http://127.0.0.1:{receiver.port}/old", BODY, {"webhook-id": "msg_1"})
    assert answer.ok
    assert [(got.path, got.body, got.headers["webhook-id"]) for got in receiver.got] == [
        ("/old", BODY, "msg_1"),
        ("/new", BODY, "msg_1"),
    ]


def test_a_circle_of_redirects_ends_after_the_third() -> None:
    with receiving(lambda handler: handler.answer(308, Location="/hook")) as receiver:
        answer = client_of().post(f"http://127.0.0.1:{receiver.port}/hook", BODY, {})
    assert answer.error == "http: more than 3 redirects"
    assert len(receiver.got) == 4


# -- receivers that are slow, endless, or no receivers at all


def test_a_receiver_that_never_answers_costs_the_deadline_and_no_more() -> None:
    start = monotonic()
    with receiving(_until_the_end) as receiver:
        answer = client_of(total_s=0.3).post(f"http://127.0.0.1:{receiver.port}/", BODY, {})
        receiver.ended.set()
    assert (answer.ok, answer.status, answer.error) == (False, None, "timeout: no answer within 0.3 s")
    assert 0.3 <= monotonic() - start < 3
    assert answer.worth_retrying


def test_headers_that_drip_cost_the_deadline_and_no_more() -> None:
    def reply(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        _drip(handler)

    assert posted(reply, total_s=0.3).error == "timeout: no answer within 0.3 s"


def test_a_body_that_drips_costs_the_deadline_and_the_status_holds() -> None:
    def reply(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        _drip(handler)

    answer = posted(reply, total_s=0.3)
    assert (answer.ok, answer.status) == (True, 200)
    assert 300 <= answer.latency_ms < 3000
    assert answer.excerpt.startswith("..")


def test_a_receiver_that_does_not_read_costs_the_deadline_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert client_of(total_s=0.3).post(url, bytes(64 << 20), {}).error == "timeout: no answer within 0.3 s"


def test_a_body_of_a_gigabyte_costs_neither_memory_nor_time() -> None:
    def reply(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        chunk = b"x" * 65_536
        for _ in range(1 << 14):
            handler.wfile.write(chunk)
            handler.receiver.sent += len(chunk)

    tracemalloc.start()
    try:
        with receiving(reply) as receiver:
            answer = client_of(most_bytes=100_000).post(f"http://127.0.0.1:{receiver.port}/", BODY, {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.ok
    assert answer.excerpt == "x" * 500
    assert peak < 4 << 20
    assert receiver.sent < 64 << 20  # what fits into the buffers of the two sockets
    assert answer.latency_ms < 5000


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2 s3cret\r\n\r\n", "protocol: the answer is not HTTP, or it ended early"),
        (b"", "protocol: the answer is not HTTP, or it ended early"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"s3cret" * 50_000, "protocol: the answer is not HTTP, or it ended early"),
    ],
)
def test_who_does_not_speak_http_is_not_quoted(said: bytes, error: str) -> None:
    def reply(handler: Handler) -> None:
        handler.wfile.write(said)

    answer = posted(reply)
    assert (answer.ok, answer.status, answer.error, answer.excerpt) == (False, None, error, "")


def test_nobody_there_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = client_of().post(f"http://127.0.0.1:{port}/", BODY, {})
    assert answer.error == "connection: Connection refused"
    assert answer.worth_retrying


def test_a_name_without_an_address_is_tried_again() -> None:
    def nowhere(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    answer = client_of(Guard(resolve=nowhere)).post("http://hooks.example.com/", BODY, {})
    assert answer.error == "dns: hooks.example.com has no address: Temporary failure in name resolution"
    assert answer.worth_retrying


def test_the_next_address_of_a_name_is_tried_where_the_first_does_not_answer() -> None:
    with receiving(lambda handler: handler.answer(200)) as receiver:
        guard = Guard(LOOPBACK, resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"])
        assert client_of(guard).post(f"http://hooks.example.com:{receiver.port}/", BODY, {}).ok


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def over_tls(authority: trustme.CA, *names: str, believed: trustme.CA | None = None) -> Answer:
    """A delivery to https://hooks.example.com, whose receiver has a certificate for `names`."""
    guard = Guard(LOOPBACK, resolve=lambda host, port: ["127.0.0.1"])
    with receiving(lambda handler: handler.answer(200), server_tls(authority, *names)) as receiver:
        client = client_of(guard, allow_http=False, tls=client_tls(believed or authority))
        return client.post(f"https://hooks.example.com:{receiver.port}/", BODY, {})


def test_the_certificate_is_for_the_name_in_the_url_not_for_the_address(authority: trustme.CA) -> None:
    assert over_tls(authority, "hooks.example.com").ok


def test_a_certificate_of_another_host_is_no_good(authority: trustme.CA) -> None:
    answer = over_tls(authority, "other.example.com", "127.0.0.1")
    assert answer.error == (
        "tls: the certificate is not good: Hostname mismatch, certificate is not valid for 'hooks.example.com'."
    )
    assert answer.worth_retrying


def test_a_certificate_of_an_unknown_authority_is_no_good(authority: trustme.CA) -> None:
    answer = over_tls(authority, "hooks.example.com", believed=trustme.CA())
    assert (answer.error or "").startswith("tls: the certificate is not good: ")


def test_the_authorities_of_the_world_are_believed_and_no_other(
    authority: trustme.CA,
) -> None:
    guard = Guard(LOOPBACK, resolve=lambda host, port: ["127.0.0.1"])
    with receiving(lambda handler: handler.answer(200), server_tls(authority, "hooks.example.com")) as receiver:
        client = GuardedClient(guard, connect_s=5, total_s=10, most_bytes=1000)
        answer = client.post(f"https://hooks.example.com:{receiver.port}/", BODY, {})
    assert (answer.error or "").startswith("tls: the certificate is not good: ")
    assert receiver.got == []


def test_https_to_who_speaks_http_is_an_error_of_tls() -> None:
    with receiving(lambda handler: handler.answer(200)) as receiver:
        answer = client_of().post(f"https://127.0.0.1:{receiver.port}/", BODY, {})
    assert (answer.error or "").startswith("tls: ")


def test_a_handshake_that_hangs_ends_with_the_time_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = client_of(connect_s=0.2).post(f"https://127.0.0.1:{listener.getsockname()[1]}/", BODY, {})
    assert answer.error == "timeout: no connection in time"
    assert 200 <= answer.latency_ms < 3000


def _until_the_end(handler: Handler) -> None:
    handler.receiver.ended.wait()


def _drip(handler: Handler) -> None:
    while not handler.receiver.ended.wait(0.02):
        handler.wfile.write(b".")

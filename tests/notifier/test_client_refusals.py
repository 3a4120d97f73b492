"""`services.notifier.client`: what its guard forbids does not leave the house, and is logged without its path."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

import pytest
import trustme
from structlog.testing import capture_logs

from services.notifier.answer import Answer
from services.notifier.client import GuardedClient
from shared.notices.guard import Guard
from tests.notifier.receiver import Handler, Receiver, client_of, client_tls, receiving, server_tls

BODY = b'{"kind":"run.failed"}'


def refused(client: GuardedClient, url: str) -> str:
    """What the log has of the one refusal; the path is never in it."""
    with capture_logs() as logs:
        answer = client.post(url, BODY, {"webhook-signature": "v1,s3cret"})
    _is_refusal(answer)
    [line] = logs
    assert line["log_level"] == "warning"
    assert "s3cret" not in f"{line} {answer}"
    return f"{line['host']}: {line['reason']}"


def _is_refusal(answer: Answer) -> None:
    assert (answer.ok, answer.status, answer.refused, answer.worth_retrying) == (False, None, True, False)
    assert (answer.error or "").startswith("refused: ")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(lambda handler: handler.answer(200)) as receiver:
        yield receiver


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LocalHost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
        "localhost.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "hooks.example.com@127.0.0.1",
        "hooks.example.com:443@127.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127%2e0%2e0%2e1",
    ],
)
def test_no_way_of_writing_it_reaches_a_receiver_on_loopback(receiver: Receiver, host: str) -> None:
    assert refused(client_of(Guard()), f"http://{host}:{receiver.port}/hook?key=s3cret")
    assert receiver.got == []


def test_an_address_that_is_checked_is_the_address_that_is_connected_to(receiver: Receiver) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    client = client_of(Guard([ip_network("127.0.0.1")], resolve=rebinding))
    url = f"http://rebinding.example.com:{receiver.port}/hook?key=s3cret"
    assert client.post(url, BODY, {}).ok
    assert asked == ["rebinding.example.com"]
    assert refused(client, url) == "rebinding.example.com: 10.0.0.1 is private"


def test_what_the_system_would_make_of_the_name_is_never_connected_to(receiver: Receiver) -> None:
    client = client_of(Guard([ip_network("127.0.0.2")], resolve=lambda host, port: ["127.0.0.2"]))
    answer = client.post(f"http://localhost:{receiver.port}/hook", BODY, {})
    assert answer.error == "connection: Connection refused"
    assert receiver.got == []


def test_each_redirect_is_checked_anew() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    client = client_of(Guard([ip_network("127.0.0.1")], resolve=lambda host, port: next(answers)))
    with receiving(lambda handler: handler.answer(307, Location="/s3cret")) as receiver:
        line = refused(client, f"http://rebinding.example.com:{receiver.port}/hook")
    assert line == "rebinding.example.com: 169.254.169.254 is link-local"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("http://169.254.169.254/latest/s3cret", "169.254.169.254: a redirect leads to another host"),
        ("http://[fd00:ec2::254]/latest/s3cret", "fd00:ec2::254: a redirect leads to another host"),
        ("http://metadata.google.internal/s3cret", "metadata.google.internal: a redirect leads to another host"),
        ("//2852039166/s3cret", "2852039166: a redirect leads to another host"),
        ("http://127.0.0.1:1/s3cret", "127.0.0.1: a redirect leads to another port"),
        ("file:///s3cret", ": the URL is not https"),
    ],
)
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_away_from_the_receiver_is_refused(status: int, location: str, line: str) -> None:
    with receiving(lambda handler: handler.answer(status, Location=location)) as receiver:
        assert refused(client_of(), f"http://127.0.0.1:{receiver.port}/hook") == line
    assert len(receiver.got) == 1


def test_nothing_of_a_delivery_reaches_the_host_that_a_redirect_names(receiver: Receiver) -> None:
    away = f"http://127.0.0.2:{receiver.port}/s3cret"
    with receiving(lambda handler: handler.answer(308, Location=away)) as first:
        assert (
            refused(client_of(), f"http://127.0.0.1:{first.port}/hook") == "127.0.0.2: a redirect leads to another host"
        )
    assert receiver.got == []


@pytest.mark.parametrize("allow_http", [True, False])
def test_a_redirect_from_https_to_http_is_refused_where_http_is_allowed_too(allow_http: bool) -> None:
    authority = trustme.CA()

    def reply(handler: Handler) -> None:
        handler.answer(307, Location=f"http://{handler.headers['Host']}/s3cret")

    with receiving(reply, server_tls(authority, "127.0.0.1")) as receiver:
        client = client_of(allow_http=allow_http, tls=client_tls(authority))
        line = refused(client, f"https://127.0.0.1:{receiver.port}/hook")
    assert line == (
        "127.0.0.1: a redirect leads from https to http" if allow_http else "127.0.0.1: the URL is not encrypted"
    )


def test_http_is_refused_where_it_is_not_allowed(receiver: Receiver) -> None:
    line = refused(client_of(allow_http=False), f"http://127.0.0.1:{receiver.port}/hook?key=s3cret")
    assert line == "127.0.0.1: the URL is not encrypted"
    assert receiver.got == []


def test_a_proxy_in_the_environment_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(lambda handler: handler.answer(200)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert client_of().post(f"http://127.0.0.1:{receiver.port}/hook", BODY, {}).ok
    assert proxy.got == []

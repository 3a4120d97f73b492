"""Chat: which addresses are taken, and what a service's answer comes to."""

import json
import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from services.notifier.answer import Answer
from services.notifier.chat import check_chat, send_chat
from services.notifier.chat_services import SERVICES
from shared.errors import UserError
from tests.notifier.chat_addresses import ADDRESSES, MESSAGE_ID, failed
from tests.notifier.receiver import Handler, client_of, receiving
from tests.notifier.test_chat_recorded import Recorder

SLACK, DISCORD, TELEGRAM = (ADDRESSES[name][1] for name in ("slack", "discord", "tgram"))
BAD = [
    "",
    "hooks.slack.com",
    "json://127.0.0.1/hook",
    "jsons://example.org/hook",
    "xml://127.0.0.1/hook",
    "form://127.0.0.1/hook",
    "mailto://anna:secret@example.org",
    "mmost://127.0.0.1/token",
    "ntfy://127.0.0.1/topic",
    "file:///etc/passwd",
    "syslog://",
    "msteams://tokenA/tokenB/tokenC",
    "https://example.org/hook",
    SLACK.replace("https", "http"),
    SLACK.replace("hooks.slack.com", "hooks.slack.com.evil.example"),
    SLACK.replace("hooks.slack.com", "hooks.slack.com@evil.example"),
    SLACK.replace("hooks.slack.com", "evil.example#@hooks.slack.com"),
    SLACK.replace("hooks.slack.com", "evil.example\\@hooks.slack.com"),
    f"{SLACK}?template=file:///etc/passwd",
    f"{SLACK}?verify=no",
    f"{SLACK}?overflow=split",
    f"{SLACK}?mode=bot",
    f"{SLACK}?:app_body=x",
    f"{SLACK}?+header=x",
    f"{SLACK}?image=yes",
    f"{DISCORD}?avatar_url=https://evil.example/a.png",
    f"{DISCORD}?thread=1&thread=2",
    f"{DISCORD}#part",
    f"{DISCORD}\r\nHost: evil.example",
    "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/general",
    "slack://T0000000A/B0000000B/abcdefghijklmnopqrstuvwx/one/two",
    "slack://T0000000A",
    "tgram://123456789:abcdefg_hijklmnop/",
    "tgram://123456789:abcdefg_hijklmnop/12315544/12315545",
    "workflows://127.0.0.1/643e69f83c8944/KODuebWbDGYFr0z0eu",
    "workflows://logic.azure.com.evil.example/643e69f83c8944/KODuebWbDGYFr0z0eu",
    "workflows://prod.logic.azure.com:8443/643e69f83c8944/KODuebWbDGYFr0z0eu",
    "webex://" + "b1" * 50 + "/room-1/room-2",
]


class Loopback:
    """Sends to a receiver of the test what would go to the service."""

    def __init__(self, port: int, total_s: float = 10.0) -> None:
        self._port = port
        self._client = client_of(total_s=total_s)

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        return self._client.post(f"http://127.0.0.1:{self._port}{urlsplit(url).path}", content, headers)


@pytest.mark.parametrize("address", BAD)
def test_an_address_that_leads_anywhere_else_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(UserError) as caught:
        check_chat(address)
    said = f"{caught.value.message} {caught.value.remedy}"
    assert not any(secret in said for secret in ("abcdefg", "token-of-the-hook", "KODueb", "xoxb", "anna:secret"))
    recorder = Recorder()
    answer = send_chat(address, failed(), MESSAGE_ID, recorder)
    assert not answer.ok
    assert not answer.worth_retrying
    assert recorder.sent == []


@pytest.mark.parametrize("status", [200, 204])
def test_a_taken_message_is_delivered_with_the_real_status_and_time(status: int) -> None:
    with receiving(lambda handler: handler.answer(status)) as receiver:
        answer = send_chat(DISCORD, failed(), MESSAGE_ID, Loopback(receiver.port))
    assert (answer.ok, answer.status) == (True, status)
    assert answer.latency_ms > 0
    [request] = receiver.got
    assert request.path == "/api/webhooks/123456789/token-of-the-hook"
    assert "Training bearing-cnn has failed" in json.loads(request.body)["content"]


@pytest.mark.parametrize(("status", "again"), [(500, True), (503, True), (400, False), (404, False), (403, False)])
def test_a_refusal_has_the_real_status(status: int, again: bool) -> None:
    with receiving(lambda handler: handler.answer(status, b"no_service")) as receiver:
        answer = send_chat(SLACK, failed(), MESSAGE_ID, Loopback(receiver.port))
    assert (answer.ok, answer.status, answer.excerpt, answer.worth_retrying) == (False, status, "no_service", again)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("address", [SLACK, DISCORD, TELEGRAM], ids=["slack", "discord", "tgram"])
def test_too_many_requests_say_when_to_come_back_and_are_not_repeated_at_once(address: str) -> None:
    with receiving(lambda handler: handler.answer(429, Retry_After="7")) as receiver:
        answer = send_chat(address, failed(), MESSAGE_ID, Loopback(receiver.port))
    assert (answer.status, answer.retry_after_s, answer.worth_retrying) == (429, 7.0, True)
    assert len(receiver.got) == 1


def test_a_pause_that_stands_in_the_body_only_is_read_too() -> None:
    body = b'{"ok":false,"error_code":429,"parameters":{"retry_after":35}}'
    with receiving(lambda handler: handler.answer(429, body)) as receiver:
        answer = send_chat(TELEGRAM, failed(), MESSAGE_ID, Loopback(receiver.port))
    assert answer.retry_after_s == 35.0


def test_a_service_that_hangs_is_left_in_time() -> None:
    def hang(handler: Handler) -> None:
        handler.receiver.ended.wait()

    with receiving(hang) as receiver:
        answer = send_chat(SLACK, failed(), MESSAGE_ID, Loopback(receiver.port, total_s=0.3))
    assert (answer.ok, answer.status, answer.error) == (False, None, "timeout: no answer within 0.3 s")
    assert answer.worth_retrying


def test_a_redirect_leads_nowhere_else() -> None:
    with receiving(lambda handler: handler.answer(307, Location="https://evil.example/")) as receiver:
        answer = send_chat(SLACK, failed(), MESSAGE_ID, Loopback(receiver.port))
    assert (answer.ok, answer.refused) == (False, True)


def test_proxies_of_the_environment_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiving(lambda handler: handler.answer(200)) as receiver:
        assert send_chat(SLACK, failed(), MESSAGE_ID, Loopback(receiver.port)).ok


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_secret_reaches_a_log(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="apprise")
    address = ADDRESSES[name][1]
    check_chat(address)
    send_chat(address, failed(), MESSAGE_ID, Recorder(Answer(False, 500, 1.0, error="http: 500")))
    captured = capfd.readouterr()
    assert "bearing-cnn" not in caplog.text + captured.out + captured.err
    assert max((part for part in address.split("/")), key=len) not in caplog.text + captured.out + captured.err


def test_plugins_send_by_nothing_else_than_our_own_client() -> None:
    for service in SERVICES:
        with pytest.raises(LookupError):
            vars(__import__(service.plugin.__module__, fromlist=["requests"]))["requests"].post("https://f.example")

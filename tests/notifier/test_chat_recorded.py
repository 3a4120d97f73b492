"""What goes out to every chat service, byte for byte, as it was recorded.

A recording changes when apprise or our words do: then read the new one as the service would, and keep it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.answer import Answer
from services.notifier.chat import check_chat, send_chat
from services.notifier.chat_services import SERVICES
from services.notifier.message import Message
from tests.notifier.chat_addresses import ADDRESSES, MESSAGE_ID, failed
from tests.notifier.test_rendering import HOSTILE, UNHURRIED

RECORDED = Path(__file__).parent / "recorded"


class Recorder:
    """Keeps what would go out."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or Answer(True, 200, 1.0, excerpt="ok")
        self.sent: list[dict[str, Any]] = []

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        form = "urlencoded" in headers.get("Content-Type", "")
        body = dict(parse_qsl(content.decode())) if form else json.loads(content)
        self.sent.append({"url": url, "headers": dict(sorted(headers.items())), "body": body})
        return self.answer


def sent(address: str, message: Message) -> dict[str, Any]:
    recorder = Recorder()
    answer = send_chat(address, message, MESSAGE_ID, recorder)
    assert answer.ok
    [one] = recorder.sent
    return one


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_message_goes_out_as_it_was_recorded(name: str) -> None:
    assert sent(ADDRESSES[name][1], failed()) == json.loads((RECORDED / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_is_known_as_of_its_service(name: str) -> None:
    service, address = ADDRESSES[name]
    assert check_chat(address) == service


def test_every_service_has_a_recording() -> None:
    assert {service for service, _ in ADDRESSES.values()} == {service.name for service in SERVICES}
    assert {path.stem for path in RECORDED.glob("*.json")} == set(ADDRESSES)


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_message_holds_its_title_its_reason_and_its_links(name: str) -> None:
    text = json.dumps(sent(ADDRESSES[name][1], failed())["body"]).replace("&amp;", "&")
    for words in ("Training bearing-cnn has failed", "The loss is not a number", "https://f.example/runs/1?a=1&b=2"):
        assert words in text


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_long_message_is_one_request_and_keeps_its_links(name: str) -> None:
    text = json.dumps(sent(ADDRESSES[name][1], failed(reason="far too long " * 400))["body"])
    assert "https://f.example/ack/one-time" in text
    assert len(text) < 12_000


@settings(UNHURRIED, max_examples=30)
@given(name=st.sampled_from(sorted(ADDRESSES)), words=HOSTILE)
def test_nobody_is_called_and_nothing_is_linked_by_what_users_wrote(name: str, words: str) -> None:
    hostile = f"@everyone @here <!channel> <@U123> <at>anna</at> [click](https://evil.example) {words}"
    body = json.dumps(sent(ADDRESSES[name][1], failed(name=hostile, reason=hostile))["body"], ensure_ascii=False)
    for obeyed in ("@everyone", "@here", "<!channel>", "<@U123", "<at>", "](https://evil.example"):
        assert obeyed not in body

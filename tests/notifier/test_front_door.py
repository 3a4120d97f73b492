"""From the front door to a receiver and back: what the API makes the notifier uses, and what it sends the API takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from standardwebhooks import Webhook, WebhookVerificationError

from services.api.app import build
from shared.contracts.states import RunState
from tests.conftest import MakePlatform
from tests.notifier.mailbox import Mailbox, mailbox
from tests.notifier.receiver import Handler, Receiver, Request, receiving
from tests.support.notices import ENVIRONMENT, Local
from tests.support.platform import API_KEY, settings_from

HOST = "http://testserver"
NOBODY = {"Authorization": ""}


def fine(handler: Handler) -> None:
    handler.answer(204)


def fail(handler: Handler) -> None:
    handler.answer(404)


@contextmanager
def serving(local: Local) -> Iterator[TestClient]:
    """The API of the same platform."""
    with settings_from(local.platform.environment) as settings:
        api = TestClient(build(settings), headers={"Authorization": f"Bearer {API_KEY}"})
    with api:
        yield api


@pytest.fixture
def api(local: Local) -> Iterator[TestClient]:
    with serving(local) as api:
        yield api


def ok(answer: Any) -> Any:
    """The JSON of an answer that must be good."""
    assert answer.is_success, answer.text
    return answer.json()


def hook(api: TestClient, receiver: Receiver) -> str:
    """A channel to the receiver; its secret."""
    target = {"type": "webhook", "url": f"http://127.0.0.1:{receiver.port}/hook"}
    return str(ok(api.post("/v1/channels", json={"name": "ops", "target": target}))["secret"])


def tried(local: Local, api: TestClient, receiver: Receiver) -> Request:
    """What the receiver got of a test."""
    asked = ok(api.post("/v1/channels/ops/test"))
    local.tell()
    shown = ok(api.get(f"/v1/deliveries/{asked['id']}"))
    assert (shown["state"], [attempt["status"] for attempt in shown["log"]]) == ("delivered", [204])
    got = receiver.got[-1]
    assert got.headers["webhook-id"] == asked["id"]
    assert orjson.loads(got.body) == shown["request"], "what is shown is what was sent"
    return got


def good(secret: str, got: Request) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


def test_a_receiver_can_verify_every_delivery_while_its_secret_is_replaced(local: Local, api: TestClient) -> None:
    with receiving(fine) as receiver:
        old = hook(api, receiver)
        assert good(old, tried(local, api, receiver))
        new = ok(api.post("/v1/channels/ops/rotate"))["secret"]
        both = tried(local, api, receiver)
        assert (good(old, both), good(new, both)) == (True, True)
        ok(api.post("/v1/channels/ops/rotate", params={"drop_old": True}))
        last = tried(local, api, receiver)
        assert (good(old, last), good(new, last)) == (False, True)


def test_what_a_receiver_refused_is_sent_again_once_it_has_been_mended(local: Local, api: TestClient) -> None:
    with receiving(fail) as receiver:
        hook(api, receiver)
        asked = ok(api.post("/v1/channels/ops/test"))
        local.tell()
        assert ok(api.get(f"/v1/deliveries/{asked['id']}"))["state"] == "dead"
        receiver.mend(fine)
        assert ok(api.post("/v1/deliveries/replay", json={"channel": "ops"})) == {"replayed": 1}
        local.tell()
        shown = ok(api.get(f"/v1/deliveries/{asked['id']}"))
        assert [attempt["status"] for attempt in shown["log"]] == [404, 204]
        assert shown["state"] == "delivered"
        assert {got.headers["webhook-id"] for got in receiver.got} == {asked["id"]}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as box:
        yield box


@pytest.fixture
def mailing(make_platform: MakePlatform, box: Mailbox) -> Local:
    """A platform that sends mail with links that lead to itself."""
    mail = {"FAULTLINE_SMTP_HOST": "localhost", "FAULTLINE_SMTP_PORT": str(box.port), "FAULTLINE_SMTP_SECURITY": "none"}
    own = {"FAULTLINE_MAIL_FROM": "faultline@example.org", "FAULTLINE_PUBLIC_URL": HOST}
    return Local(make_platform(**ENVIRONMENT, **mail, **own))


def test_the_links_of_a_mail_do_what_they_say_once(mailing: Local, box: Mailbox) -> None:
    with serving(mailing) as api:
        ok(api.post("/v1/channels", json={"name": "mail", "target": {"type": "email", "to": ["ada@example.org"]}}))
        subscription = ok(api.post("/v1/subscriptions", json={"kinds": ["run.failed"], "channel": "mail"}))
        run = mailing.run()
        mailing.end(run, RunState.FAILED)
        mailing.tell()
        mail = box.got[0]
        plain = mail.get_body(("plain",))
        assert plain is not None
        lines = [line.partition(": ") for line in plain.get_content().splitlines()]
        links = {label: url for label, _, url in lines if url.startswith(f"{HOST}/v1/links/")}
        for label in ("Retry", "Acknowledge"):
            assert api.get(links[label], headers=NOBODY).status_code == 200, label
            assert api.post(links[label], headers=NOBODY).status_code == 200, label
            assert api.post(links[label], headers=NOBODY).status_code == 410, label
        assert mailing.platform.rows("SELECT 1 FROM runs WHERE retry_of = :run", run=run)
        assert mailing.platform.rows("SELECT 1 FROM notices WHERE acknowledged_at IS NOT NULL")
        unsubscribe = str(mail["List-Unsubscribe"]).strip("<>")
        assert api.post(unsubscribe, data={"List-Unsubscribe": "One-Click"}, headers=NOBODY).status_code == 200
        assert not ok(api.get(f"/v1/subscriptions/{subscription['id']}"))["enabled"]
        mailing.end(mailing.run(), RunState.FAILED)
        mailing.tell()
    assert len(box.got) == 1


def test_work_that_is_announced_reaches_the_inbox_of_who_wants_to_know(local: Local, api: TestClient) -> None:
    ok(api.post("/v1/subscriptions", json={"kinds": ["system.maintenance"]}))
    ok(api.post("/v1/maintenance", json={"message": "New disks."}))
    local.tell()
    assert [item["title"] for item in ok(api.get("/v1/inbox"))["items"]] == ["Maintenance: New disks."]
    assert ok(api.get("/v1/inbox/count")) == {"unread": 1, "urgent": 0}

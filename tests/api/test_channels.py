"""Channels over the API: what is taken, what is never shown again, how a secret is replaced."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.contracts.roles import Role
from shared.notices.channels import MOST_SECRETS
from shared.notices.seal import Seal
from tests.api.conftest import MakeClient
from tests.api.people import Person, change, member
from tests.support.platform import API_KEY, Platform

SECRET_PATH = "T0PSECRET"
HOOK: dict[str, Any] = {
    "name": "ops-hook",
    "target": {"type": "webhook", "url": f"https://hooks.example.org/{SECRET_PATH}?token={SECRET_PATH}"},
}


def target(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "c", "target": {"type": kind, **fields}}


def make(client: TestClient, body: dict[str, Any] = HOOK) -> Any:
    made = client.post("/v1/channels", json=body)
    assert made.status_code == 201, made.text
    return made.json()


def secrets(platform: Platform) -> list[str]:
    """What signs the deliveries of the one channel."""
    row = platform.rows("SELECT id, sealed FROM channels")[0]
    opened = Seal(platform.settings.seal_keys).open(bytes(row["sealed"]), bound_to=str(row["id"]))
    return list(opened["secrets"])


def test_the_secret_of_a_webhook_is_shown_once_and_its_address_never(client: TestClient, platform: Platform) -> None:
    answer = client.post("/v1/channels", json=HOOK)
    made = answer.json()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert [secret] == secrets(platform)
    assert answer.headers["Location"] == f"/v1/channels/{made['id']}"
    assert (made["type"], made["service"], made["state"]) == ("webhook", "webhook", "enabled")
    assert made["per_minute"] == platform.settings.notify_per_minute["webhook"]
    assert made == client.get("/v1/channels/ops-hook").json() == client.get(f"/v1/channels/{made['id']}").json()
    assert client.get("/v1/channels").json()["items"] == [made]
    seen = "".join(client.get(path).text for path in ("/v1/channels", "/v1/channels/ops-hook", "/v1/audit"))
    kept = str(platform.rows("SELECT * FROM channels")) + str(platform.rows("SELECT * FROM audit_log"))
    for hidden in (SECRET_PATH, secret):
        assert hidden not in seen + kept
    assert "hooks.example.org" in made["shown"]


def test_a_repeat_shows_the_secret_again_for_a_while_and_keeps_it_nowhere(
    client: TestClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = {"Idempotency-Key": "one"}
    first, again = (client.post("/v1/channels", json=HOOK, headers=once) for _ in range(2))
    assert first.json() == again.json()
    kept = str(platform.rows("SELECT * FROM idempotency_keys"))
    assert first.json()["secret"] not in kept
    assert SECRET_PATH not in kept
    assert client.post("/v1/channels", json=target("webhook", url="https://x.org/a"), headers=once).status_code == 409
    other = {**HOOK, "target": {"type": "webhook", "url": "https://hooks.example.org/other"}}
    assert client.post("/v1/channels", json=other, headers=once).status_code == 409, "only its hidden part differs"
    monkeypatch.setattr("services.api.channels._SHOWN_AGAIN", timedelta(0))
    late = client.post("/v1/channels", json=HOOK, headers=once)
    assert late.status_code == 409
    assert "not shown again" in late.json()["detail"]


def test_a_secret_is_replaced_in_two_steps(client: TestClient, platform: Platform) -> None:
    old = make(client)["secret"]
    new = client.post("/v1/channels/ops-hook/rotate").json()["secret"]
    assert secrets(platform) == [new, old]
    dropped = client.post("/v1/channels/ops-hook/rotate", params={"drop_old": True})
    assert dropped.json()["secret"] is None
    assert secrets(platform) == [new]
    for _ in range(MOST_SECRETS - 1):
        assert client.post("/v1/channels/ops-hook/rotate").status_code == 200
    full = client.post("/v1/channels/ops-hook/rotate")
    assert (full.status_code, "drop_old" in full.json()["remedy"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (target("webhook", url="http://hooks.example.org/x"), "not encrypted"),
        (target("webhook", url=f"https://ann:{SECRET_PATH}@hooks.example.org/x"), "user or a password"),
        (target("webhook", url=f"https://127.0.0.1/{SECRET_PATH}"), "127.0.0.1 is loopback"),
        (target("webhook", url="https://[::1]/"), "::1 is not a public IPv6 address"),
        (target("webhook", url="https://169.254.169.254/latest/meta-data"), "169.254.169.254 is link-local"),
        (target("webhook", url="https://100.64.0.1/"), "carrier-grade NAT"),
        (target("webhook", url="https://2130706433/"), "it is a number"),
        (target("webhook", url="https://vault.svc/"), "a name of an inner network"),
        (target("webhook", url="https://10.1.2.3/"), "10.1.2.3 is private"),
        (target("webhook", url="https://localhost/"), "a name of an inner network"),
        (target("webhook", url="ftp://example.org/"), "is not https"),
        (target("webhook", url="https:///x"), "no plain host and port"),
        (target("webhook", url=f"https://example.org:99999/{SECRET_PATH}"), "there is no port 99999"),
        (target("webhook", url="https://exämple.org/"), "not ASCII"),
        (target("webhook", url="https://example.org/\\x"), "backslashes"),
        (target("email", to=["ann@example.org"]), "sends no mail"),
        (target("email", to=["not an address"]), "pattern"),
        (target("email", to=[]), "at least 1"),
        (target("chat", url=f"json://intranet/{SECRET_PATH}"), "no chat service"),
        (target("chat", url=f"mmost://10.0.0.1/{SECRET_PATH}"), "no chat service"),
        (target("chat", url="https://example.org/services/x"), "no chat service"),
        (target("chat", url="https://hooks.slack.com.evil.org/services/x"), "no chat service"),
        (target("pigeon", url="coo"), "webhook"),
        (target("webhook", url="https://example.org/") | {"name": "../x"}, "name"),
        (target("webhook", url="https://example.org/") | {"per_minute": 0}, "greater than or equal to 0.001"),
        (target("webhook", url="https://example.org/") | {"per_minute": 1e-300}, "greater than or equal to 0.001"),
    ],
)
def test_a_target_that_is_not_taken_is_refused_at_once_and_not_repeated(
    client: TestClient, platform: Platform, body: dict[str, Any], words: str
) -> None:
    answer = client.post("/v1/channels", json=body)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert SECRET_PATH not in answer.text
    assert platform.rows("SELECT 1 FROM channels") == []


def test_an_operator_may_allow_a_network_and_http(make_client: MakeClient) -> None:
    allowed = make_client(
        FAULTLINE_NOTIFY_ALLOWED_NETWORKS='["127.0.0.0/8", "10.2.0.0/16"]', FAULTLINE_NOTIFY_ALLOW_HTTP="true"
    )
    for number, url in enumerate(("http://127.0.0.1:8080/x", "https://localhost/x", "https://10.2.3.4/x")):
        make(allowed, target("webhook", url=url) | {"name": f"c{number}"})
    assert allowed.post("/v1/channels", json=target("webhook", url="https://10.3.0.1/")).status_code == 422


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("slack://T1/B2/SECRETSECRET", "slack"),
        ("https://hooks.slack.com/services/T1/B2/SECRET", "slack"),
        ("https://discord.com/api/webhooks/1/SECRET", "discord"),
        ("tgram://123:SECRET/456", "tgram"),
        ("pagerduty://SECRET@api", "pagerduty"),
    ],
)
def test_a_chat_is_known_by_its_address_of_which_nothing_secret_is_shown(
    client: TestClient, platform: Platform, url: str, service: str
) -> None:
    made = make(client, target("chat", url=url))
    assert (made["type"], made["service"], made["secret"]) == ("chat", service, None)
    assert "SECRET" not in made["shown"]
    assert made["per_minute"] == platform.settings.notify_per_minute.get(service, 60.0)
    refused = client.post("/v1/channels/c/rotate")
    assert (refused.status_code, "no secret of ours" in refused.json()["detail"]) == (409, True)


def test_mail_is_taken_where_it_is_sent_and_shown_without_its_reader(make_client: MakeClient) -> None:
    mailing = make_client(FAULTLINE_SMTP_HOST="mail.example.org", FAULTLINE_MAIL_FROM="f@example.org")
    made = make(mailing, target("email", to=["anna.berg@example.org", "bo@example.org"]))
    assert (made["service"], made["shown"]) == ("email", "a***@example.org and 1 more")


def test_a_channel_that_failed_is_enabled_as_if_nothing_had_gone_wrong(client: TestClient, platform: Platform) -> None:
    make(client)
    change(platform, "UPDATE channels SET failures = 3, failing_since = now(), last_error = 'HTTP 500'")
    failing = client.get("/v1/channels/ops-hook").json()
    assert (failing["state"], failing["failures"], failing["last_error"]) == ("failing", 3, "HTTP 500")
    change(platform, "UPDATE channels SET disabled_at = now(), retry_at = now()")
    assert client.get("/v1/channels/ops-hook").json()["state"] == "disabled"
    refused = client.post("/v1/channels/ops-hook/test")
    assert (refused.status_code, "Enable" in refused.json()["remedy"]) == (409, True)
    enabled = client.post("/v1/channels/ops-hook/enable").json()
    assert (enabled["state"], enabled["failures"], enabled["retry_at"], enabled["last_error"]) == (
        "enabled", 0, None, None,
    )  # fmt: skip


def test_a_test_asks_for_a_delivery_to_this_channel_alone(client: TestClient, platform: Platform) -> None:
    make(client)
    answer = client.post("/v1/channels/ops-hook/test")
    assert answer.status_code == 202, answer.text
    delivery = answer.json()
    assert (delivery["kind"], delivery["channel"], delivery["state"]) == ("test", "ops-hook", "pending")
    assert datetime.fromisoformat(delivery["due_at"]) <= datetime.now(UTC)
    shown = client.get(answer.headers["Location"]).json()
    assert shown["request"]["type"] == "test"
    assert shown["request"]["data"] == {"channel": "ops-hook", "asked_by": "bootstrap-default"}
    assert platform.rows("SELECT spread_at IS NOT NULL AS over FROM notices") == [{"over": True}]


def test_a_channel_goes_with_its_subscriptions_and_its_name_is_free_again(client: TestClient) -> None:
    make(client)
    assert client.post("/v1/channels", json=HOOK).status_code == 409
    client.post("/v1/subscriptions", json={"kinds": ["run.failed"], "channel": "ops-hook"})
    seen = client.get("/v1/channels/ops-hook").headers["ETag"]
    assert client.delete("/v1/channels/ops-hook", headers={"If-Match": '"other"'}).status_code == 412
    assert client.delete("/v1/channels/ops-hook", headers={"If-Match": seen}).status_code == 204
    assert client.get("/v1/subscriptions").json()["items"] == []
    entry = client.get("/v1/audit", params={"action": "channel.remove"}).json()["items"][0]
    assert entry["data"] == {"name": "ops-hook", "subscriptions": 1}
    make(client)


def test_who_reads_sees_channels_and_makes_none(client: TestClient) -> None:
    make(client)
    owner = Person(client, "bootstrap-default", API_KEY)
    viewer = member(owner, client, "vera", Role.VIEWER)
    assert viewer("GET", "/v1/channels/ops-hook").status_code == 200
    assert viewer("POST", "/v1/channels", json=HOOK | {"name": "b"}).status_code == 403
    for what in ("test", "enable", "rotate"):
        assert viewer("POST", f"/v1/channels/ops-hook/{what}").status_code == 403
    assert viewer("DELETE", "/v1/channels/ops-hook").status_code == 403

"""Subscriptions over the API: whose they are, what fits together, when digests come."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi.testclient import TestClient

from services.cli.sdk.transport import parse
from shared.contracts.notices import SUBSCRIBABLE
from shared.contracts.notifying import SubscriptionView
from shared.contracts.roles import Role
from tests.api.conftest import MakeClient
from tests.api.people import Person, change, member
from tests.api.test_channels import HOOK, make
from tests.support.platform import API_KEY, Platform

DAILY: dict[str, Any] = {"kinds": ["run.failed"], "channel": "ops-hook", "digest": {"every": "day", "at": "07:30"}}


@pytest.fixture
def hook(client: TestClient) -> str:
    return str(make(client)["id"])


@pytest.fixture
def owner(client: TestClient) -> Person:
    return Person(client, "bootstrap-default", API_KEY)


def subscribe(client: TestClient, **body: Any) -> Any:
    made = client.post("/v1/subscriptions", json=body)
    assert made.status_code == 201, made.text
    return made.json()


def test_a_subscription_names_its_channel_and_is_found_by_its_id(client: TestClient, hook: str) -> None:
    made = subscribe(client, kinds=["run.failed"], channel="ops-hook", filter={"labels": {"line": "4"}, "mine": True})
    assert (made["channel"], made["channel_id"]) == ("ops-hook", hook)
    assert (made["filter"]["labels"], made["filter"]["mine"], made["filter"]["children"]) == (
        {"line": "4"},
        True,
        False,
    )
    assert made == client.get(f"/v1/subscriptions/{made['id']}").json()
    assert client.get("/v1/subscriptions").json()["items"] == [made]
    assert subscribe(client, kinds=["run.failed"])["channel"] is None, "the inbox"


@pytest.mark.parametrize(
    ("given", "kinds", "run_kinds"),
    [
        (["*"], list(SUBSCRIBABLE), []),
        (["campaign.*"], [kind for kind in SUBSCRIBABLE if kind.startswith("campaign.")], []),
        (["training.complete"], ["run.succeeded"], ["model.train"]),
        (["hpo.campaign_complete"], ["campaign.finished"], []),
    ],
)
def test_kinds_may_be_named_by_group_and_as_other_systems_do(
    client: TestClient, given: list[str], kinds: list[str], run_kinds: list[str]
) -> None:
    made = subscribe(client, kinds=given)
    assert (made["kinds"], made["filter"]["run_kinds"]) == (kinds, run_kinds)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"kinds": ["run.explodes"]}, 422, "run.explodes"),
        ({"kinds": ["model.promoted"]}, 422, "no release promotes models"),
        ({"kinds": ["test"]}, 422, "no notice named"),
        ({"kinds": []}, 422, "at least 1"),
        ({"kinds": ["run.failed"], "channel": "nowhere"}, 404, "no channel 'nowhere'"),
        ({"kinds": ["run.failed"], "timezone": "Mars/Base"}, 422, "Mars/Base"),
        ({"kinds": ["run.failed"], "digest": {"every": "day"}}, 422, "the inbox makes no sound"),
        (DAILY | {"quiet": {"begin": "22:00", "end": "06:00"}}, 422, "leave out quiet"),
        (DAILY | {"digest": {"every": "day", "at": "07:30+02:00"}}, 422, "leave out the zone"),
        (DAILY | {"digest": {"every": "year"}}, 422, "every"),
        ({"kinds": ["run.failed"], "escalation": {"after_minutes": 5, "channel": "nowhere"}}, 404, "nowhere"),
        (
            {"kinds": ["run.failed"], "channel": "ops-hook", "escalation": {"after_minutes": 5, "channel": "ops-hook"}},
            422,
            "told at once already",
        ),
        ({"kinds": ["run.failed"], "filter": {"run_kinds": ["model.bake"]}}, 422, "model.bake"),
        ({"kinds": ["run.failed"], "filter": {"progress_at": 2}}, 422, "progress_at"),
        ({"kinds": ["run.failed"], "colour": "red"}, 422, "colour"),
    ],
)
def test_what_could_never_be_told_is_refused_at_once(
    client: TestClient, platform: Platform, hook: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post("/v1/subscriptions", json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert platform.rows("SELECT 1 FROM subscriptions") == []


def test_the_next_digest_comes_at_its_time_of_the_zone_and_only_while_it_is_enabled(
    client: TestClient, hook: str
) -> None:
    made = subscribe(client, **DAILY, timezone="Europe/Berlin")
    following = datetime.fromisoformat(made["next_digest_at"])
    local = following.astimezone(ZoneInfo("Europe/Berlin"))
    assert (local.hour, local.minute) == (7, 30)
    assert following > datetime.now(UTC)
    path = f"/v1/subscriptions/{made['id']}"
    assert client.patch(path, json={"enabled": False}).json()["next_digest_at"] is None
    assert client.patch(path, json={"enabled": True}).json()["next_digest_at"] == made["next_digest_at"]
    assert client.patch(path, json={"muted_until": "2126-01-01T00:00:00Z"}).json()["digest"] == made["digest"]


def test_what_was_held_for_a_digest_that_comes_no_more_is_sent(
    client: TestClient, platform: Platform, hook: str
) -> None:
    made = subscribe(client, **DAILY)
    client.post("/v1/channels/ops-hook/test")
    change(platform, "UPDATE deliveries SET state = 'held', subscription_id = :id", id=made["id"])
    changed = client.patch(f"/v1/subscriptions/{made['id']}", json={"digest": None}).json()
    assert (changed["digest"], changed["next_digest_at"]) == (None, None)
    assert platform.rows("SELECT state FROM deliveries") == [{"state": "pending"}]


def test_a_change_keeps_what_is_not_sent_and_fits_together(client: TestClient, hook: str) -> None:
    quiet = {"begin": "22:00:00", "end": "06:00:00"}
    made = subscribe(client, kinds=["run.failed"], channel="ops-hook", quiet=quiet, filter={"mine": True})
    path = f"/v1/subscriptions/{made['id']}"
    refused = client.patch(path, json={"digest": {"every": "day"}})
    assert (refused.status_code, "leave out quiet" in refused.json()["detail"]) == (422, True)
    changed = client.patch(path, json={"digest": {"every": "day"}, "quiet": None, "kinds": ["run.*"]}).json()
    assert (changed["quiet"], changed["filter"], changed["channel"]) == (None, made["filter"], "ops-hook")
    assert "run.succeeded" in changed["kinds"]
    muted = client.patch(path, json={"muted_until": "2126-01-01T01:00:00+01:00"}).json()
    assert datetime.fromisoformat(muted["muted_until"]) == datetime(2126, 1, 1, tzinfo=UTC)
    assert client.patch(path, json={"muted_until": None}).json()["muted_until"] is None
    assert client.patch(path, json={"kinds": None}).status_code == 422
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_an_escalation_leads_to_another_channel_and_ends_with_it(client: TestClient, hook: str) -> None:
    make(client, HOOK | {"name": "pager"})
    escalation = {"after_minutes": 15, "channel": "pager"}
    made = subscribe(client, kinds=["run.failed"], channel="ops-hook", escalation=escalation)
    assert made["escalation"] == escalation
    assert client.delete("/v1/channels/pager").status_code == 204
    assert client.get(f"/v1/subscriptions/{made['id']}").json()["escalation"] is None


def test_what_somebody_else_changed_is_not_changed_by_who_has_not_seen_it(client: TestClient, hook: str) -> None:
    made = subscribe(client, **DAILY)
    path = f"/v1/subscriptions/{made['id']}"
    seen = {"If-Match": client.get(path).headers["ETag"]}
    assert client.patch(path, json={"timezone": "Asia/Tokyo"}, headers=seen).status_code == 200
    assert client.patch(path, json={"timezone": "UTC"}, headers=seen).status_code == 412
    assert client.delete(path, headers=seen).status_code == 412


def test_a_viewer_subscribes_for_itself_sees_its_own_and_an_admin_sees_all(
    client: TestClient, owner: Person, hook: str
) -> None:
    viewer, admin = member(owner, client, "vera", Role.VIEWER), member(owner, client, "adam", Role.ADMIN)
    hers = viewer.ok("POST", "/v1/subscriptions", json={"kinds": ["run.failed"], "channel": "ops-hook"})
    mine = subscribe(client, kinds=["run.failed"])
    assert viewer.ok("GET", "/v1/subscriptions")["items"] == [hers]
    assert viewer("GET", "/v1/subscriptions", params={"all": True}).status_code == 403
    for method in ("GET", "DELETE"):
        assert viewer(method, f"/v1/subscriptions/{mine['id']}").status_code == 404
    assert viewer("PATCH", f"/v1/subscriptions/{mine['id']}", json={"enabled": False}).status_code == 404
    assert admin.ok("GET", "/v1/subscriptions")["items"] == []
    assert admin.ok("GET", "/v1/subscriptions", params={"all": True})["items"] == [mine, hers]
    assert (
        admin.ok("PATCH", f"/v1/subscriptions/{hers['id']}", json={"enabled": False})["principal_id"]
        == (hers["principal_id"])
    )
    assert viewer("DELETE", f"/v1/subscriptions/{hers['id']}").status_code == 204


def test_a_channel_of_another_project_is_none(client: TestClient, platform: Platform, hook: str) -> None:
    made = client.post("/v1/projects", json={"name": "other"}).json()
    theirs = Person(client, "bootstrap-default", made["key"]["key"])
    for ref in ("ops-hook", hook):
        answer = theirs("POST", "/v1/subscriptions", json={"kinds": ["run.failed"], "channel": ref})
        assert answer.status_code == 404, answer.text


def test_nobody_has_more_subscriptions_or_channels_than_may_be(make_client: MakeClient) -> None:
    few = make_client(FAULTLINE_NOTIFY_MOST_SUBSCRIPTIONS="1", FAULTLINE_NOTIFY_MOST_CHANNELS="1")
    subscribe(few, kinds=["run.failed"])
    make(few)
    for path, body in (("/v1/subscriptions", {"kinds": ["*"]}), ("/v1/channels", HOOK | {"name": "more"})):
        refused = few.post(path, json=body)
        assert (refused.status_code, "already" in refused.json()["detail"]) == (409, True)


def test_what_a_newer_release_has_stored_or_answers_is_read_without_what_is_not_known(
    client: TestClient, platform: Platform, hook: str
) -> None:
    made = subscribe(client, **DAILY)
    change(
        platform,
        "UPDATE subscriptions SET filter = filter || '{\"newer\": 1}', digest = digest || '{\"newer\": 1}'",
    )
    assert client.get(f"/v1/subscriptions/{made['id']}").json() == made
    answer = httpx.Response(200, json=made | {"filter": made["filter"] | {"newer": 1}, "newer": 1})
    answer.request = httpx.Request("GET", "http://faultline.example/")
    assert parse(SubscriptionView, answer).model_dump(mode="json") == made

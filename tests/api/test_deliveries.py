"""Deliveries over the API: what became of them, and sending them again."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from tests.api.notices import deliver, tell
from tests.api.people import Person, change
from tests.api.test_channels import HOOK, make
from tests.support.platform import Platform, until


@pytest.fixture
def hook(client: TestClient) -> str:
    return str(make(client)["id"])


def listed(client: TestClient, **query: Any) -> list[str]:
    answer = client.get("/v1/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def row(platform: Platform, delivery: UUID) -> dict[str, Any]:
    return platform.rows("SELECT * FROM deliveries WHERE id = :id", id=delivery)[0]


def test_a_delivery_shows_what_was_sent_and_what_each_attempt_was_answered(
    client: TestClient, platform: Platform, hook: str
) -> None:
    delivery = deliver(platform, hook, tell(platform))
    shown = client.get(f"/v1/deliveries/{delivery}").json()
    assert (shown["state"], shown["reason"], shown["channel"]) == ("dead", "given up", "ops-hook")
    assert set(shown["request"]) == {"type", "timestamp", "data"}
    assert shown["request"]["type"] == "run.failed"
    assert shown["request"]["timestamp"].endswith("Z")
    assert [(one["attempt"], one["status"], one["excerpt"]) for one in shown["log"]] == [
        (1, 500, "oops"),
        (2, 500, "oops"),
    ]


def test_deliveries_are_found_by_state_channel_run_and_kind(client: TestClient, platform: Platform, hook: str) -> None:
    other = make(client, HOOK | {"name": "other"})["id"]
    run = platform.submit("test.inline", steps=1)
    dead = str(deliver(platform, hook, tell(platform, run=run)))
    fine = str(deliver(platform, hook, tell(platform, "run.succeeded"), "delivered"))
    elsewhere = str(deliver(platform, other, tell(platform)))
    assert listed(client) == [elsewhere, fine, dead]
    assert listed(client, state="dead") == [elsewhere, dead]
    assert listed(client, state=["dead", "delivered"], channel="ops-hook") == [fine, dead]
    assert listed(client, channel=other) == [elsewhere]
    assert listed(client, run=str(run)) == [dead]
    assert listed(client, kind="run.succeeded") == [fine]
    assert listed(client, channel="nowhere") == []
    assert client.get("/v1/deliveries", params={"state": "lost"}).status_code == 422
    page = client.get("/v1/deliveries", params={"limit": 2}).json()
    assert [item["id"] for item in page["items"]] == [elsewhere, fine]
    assert listed(client, cursor=page["next_cursor"]) == [dead]


def test_a_delivery_that_was_given_up_is_sent_again_as_if_it_were_new(
    client: TestClient, platform: Platform, hook: str
) -> None:
    delivery = deliver(platform, hook, tell(platform))
    answer = client.post(f"/v1/deliveries/{delivery}/replay")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["reason"]) == ("pending", None)
    now = row(platform, delivery)
    assert (now["give_up_at"], now["rung_at"], now["delivered_at"], now["paced"]) == (None, None, None, False)
    assert now["attempts"] == 2, "the log of its attempts goes on"
    assert platform.rows("SELECT due_at <= now() AS due FROM deliveries") == [{"due": True}]


@pytest.mark.parametrize("state", ["pending", "sending", "held"])
def test_a_delivery_that_is_on_its_way_is_not_sent_twice(
    client: TestClient, platform: Platform, hook: str, state: str
) -> None:
    delivery = deliver(platform, hook, tell(platform), state)
    refused = client.post(f"/v1/deliveries/{delivery}/replay")
    assert refused.status_code == 409, refused.text
    assert row(platform, delivery)["state"] == state


def test_all_that_a_channel_did_not_take_is_sent_again_and_nothing_else(
    client: TestClient, platform: Platform, hook: str
) -> None:
    other = make(client, HOOK | {"name": "other"})["id"]
    dead = [deliver(platform, hook, tell(platform)) for _ in range(3)]
    kept = [deliver(platform, other, tell(platform)), deliver(platform, hook, tell(platform), "delivered")]
    answer = client.post("/v1/deliveries/replay", json={"channel": "ops-hook"})
    assert (answer.status_code, answer.json()) == (202, {"replayed": 3})
    assert {row(platform, delivery)["state"] for delivery in dead} == {"pending"}
    assert [row(platform, delivery)["state"] for delivery in kept] == ["dead", "delivered"]
    assert client.post("/v1/deliveries/replay", json={"channel": "ops-hook"}).json() == {"replayed": 0}


def test_the_newest_are_found_without_looking_at_those_of_others(
    client: TestClient, platform: Platform, hook: str
) -> None:
    mine = str(deliver(platform, hook, tell(platform)))
    theirs = Person(client, "bootstrap-default", client.post("/v1/projects", json={"name": "o"}).json()["key"]["key"])
    other = theirs.ok("POST", "/v1/channels", json=HOOK)["id"]
    change(
        platform,
        "INSERT INTO deliveries (id, notice_id, channel_id, state) "
        "SELECT gen_random_uuid(), (SELECT notice_id FROM deliveries LIMIT 1), :channel, 'delivered' "
        "FROM generate_series(1, 20000)",
        channel=other,
    )
    change(platform, "ANALYZE deliveries")
    change(platform, "SELECT pg_stat_reset()")
    assert listed(client) == [mine] == listed(client, state="dead", channel="ops-hook")

    def read() -> int:
        rows = platform.rows(
            "SELECT seq_tup_read + idx_tup_fetch AS n FROM pg_stat_user_tables WHERE relname = 'deliveries'"
        )
        return int(rows[0]["n"])

    assert until(read) < 100

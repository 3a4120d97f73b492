"""The inbox over the API: what I was told, what I have read, what somebody has taken on, and all that live."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.testclient import TestClient

from shared.contracts.notices import NOTICES
from shared.contracts.roles import Role
from tests.api.notices import put, tell
from tests.api.people import Person, bearer, change, member
from tests.support.platform import API_KEY, Platform


@pytest.fixture
def owner(client: TestClient) -> Person:
    return Person(client, "bootstrap-default", API_KEY)


def principal(platform: Platform, name: str) -> UUID:
    return UUID(str(platform.rows("SELECT id FROM principals WHERE name = :name", name=name)[0]["id"]))


def test_the_inbox_shows_the_newest_first_with_titles_and_counts_what_is_urgent(
    client: TestClient, platform: Platform
) -> None:
    assert client.get("/v1/inbox/count").json() == {"unread": 0, "urgent": 0}
    places = [put(platform, tell(platform, kind)) for kind in ("run.succeeded", "run.failed", "run.started")]
    items = client.get("/v1/inbox").json()["items"]
    assert [item["id"] for item in items] == places[::-1]
    assert items[1]["title"] == "Training bearing-cnn has failed"
    assert items[1]["data"]["remedy"] == "Lower learning_rate."
    assert client.get("/v1/inbox/count").json() == {"unread": 3, "urgent": 1}
    page = client.get("/v1/inbox", params={"limit": 2}).json()
    rest = client.get("/v1/inbox", params={"cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == places[::-1]


def test_some_are_read_then_all_and_nobody_reads_for_another(
    client: TestClient, platform: Platform, owner: Person
) -> None:
    reader = member(owner, client, "vera", Role.VIEWER)
    mine = [put(platform, tell(platform)) for _ in range(3)]
    hers = put(platform, tell(platform), principal(platform, "vera"))
    left = client.post("/v1/inbox/read", json={"ids": [mine[0], hers]})
    assert left.json() == {"unread": 2, "urgent": 2}
    assert reader.ok("GET", "/v1/inbox/count") == {"unread": 1, "urgent": 1}
    unread = client.get("/v1/inbox", params={"unread": True}).json()["items"]
    assert [item["id"] for item in unread] == mine[:0:-1]
    assert client.post("/v1/inbox/read", json={"all": True}).json() == {"unread": 0, "urgent": 0}
    assert reader.ok("POST", "/v1/inbox/read", json={"all": True}) == {"unread": 0, "urgent": 0}
    refused: list[dict[str, Any]] = [{}, {"ids": []}, {"ids": [1], "all": True}, {"ids": [0]}]
    assert {client.post("/v1/inbox/read", json=wrong).status_code for wrong in refused} == {422}


def test_a_notice_is_taken_on_once_by_whoever_is_first_and_counts_as_read(
    client: TestClient, platform: Platform, owner: Person
) -> None:
    reader = member(owner, client, "vera", Role.VIEWER)
    notice = tell(platform)
    put(platform, notice)
    put(platform, notice, principal(platform, "vera"))
    first = reader.ok("POST", f"/v1/notices/{notice}/acknowledge")
    assert first["acknowledged_by"] == str(principal(platform, "vera"))
    assert reader.ok("GET", "/v1/inbox/count") == {"unread": 0, "urgent": 0}
    assert client.get("/v1/inbox/count").json() == {"unread": 1, "urgent": 1}, "others may still want to read it"
    assert client.post(f"/v1/notices/{notice}/acknowledge").json() == first
    assert client.get("/v1/inbox").json()["items"][0]["acknowledged_at"] == first["acknowledged_at"]


def test_a_notice_for_another_person_or_for_everybody_is_not_taken_on(
    client: TestClient, platform: Platform, owner: Person
) -> None:
    member(owner, client, "vera", Role.VIEWER)
    hers = tell(platform, "channel.disabled", principal=principal(platform, "vera"))
    assert client.post(f"/v1/notices/{hers}/acknowledge").status_code == 404
    assert client.post(f"/v1/notices/{uuid4()}/acknowledge").status_code == 404
    everybodys = tell(platform, "system.maintenance", project=None)
    assert client.post(f"/v1/notices/{everybodys}/acknowledge").status_code == 409


def test_all_kinds_are_listed_with_an_example_that_holds(client: TestClient) -> None:
    shown = client.get("/v1/notices/kinds").json()
    assert [kind["name"] for kind in shown] == list(NOTICES)
    for kind in shown:
        assert NOTICES[kind["name"]].payload.model_validate(kind["example"])


def test_maintenance_is_announced_by_an_operator_and_left_to_the_notifier(
    client: TestClient, platform: Platform, owner: Person
) -> None:
    body = {"message": "The GPU pool is drained.", "begins_at": "2126-01-01T20:00:00Z"}
    answer = client.post("/v1/maintenance", json=body)
    assert (answer.status_code, answer.json()["title"]) == (202, "Maintenance: The GPU pool is drained.")
    kept = platform.rows("SELECT kind, project_id, spread_at FROM notices")
    assert kept == [{"kind": "system.maintenance", "project_id": None, "spread_at": None}]
    assert client.post("/v1/maintenance", json=body | {"ends_at": "2126-01-01T19:00:00Z"}).status_code == 422
    assert member(owner, client, "olga", Role.OWNER)("POST", "/v1/maintenance", json=body).status_code == 403


def counts(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The counts that a stream tells, as they come."""
    event = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: ") and event == "count":
            yield json.loads(line.removeprefix("data: "))


def test_the_stream_tells_the_count_at_the_start_and_at_each_change(client: TestClient, platform: Platform) -> None:
    url = platform.start_api()
    first = put(platform, tell(platform, "run.started"))
    with httpx.stream("GET", f"{url}/v1/inbox/events", headers=bearer(API_KEY), timeout=30) as answer:
        seen = counts(answer)
        assert next(seen) == {"unread": 1, "urgent": 0}
        put(platform, tell(platform, "run.failed"))
        assert next(seen) == {"unread": 2, "urgent": 1}
        client.post("/v1/inbox/read", json={"ids": [first]})
        assert next(seen) == {"unread": 1, "urgent": 1}


def test_a_change_that_rang_no_bell_is_told_too(platform: Platform) -> None:
    url = platform.start_api()
    put(platform, tell(platform))
    with httpx.stream("GET", f"{url}/v1/inbox/events", headers=bearer(API_KEY), timeout=60) as answer:
        seen = counts(answer)
        assert next(seen)["unread"] == 1
        change(platform, "UPDATE inbox SET read_at = now()")
        assert next(seen)["unread"] == 0


def test_a_ticket_opens_the_stream_of_ones_own_inbox_and_no_other(client: TestClient, platform: Platform) -> None:
    url = platform.start_api()
    put(platform, tell(platform))
    ticket = client.post("/v1/tickets", json={"inbox": True}).json()
    with httpx.stream("GET", url + ticket["url"], timeout=30) as answer:
        assert next(counts(answer))["unread"] == 1
    elsewhere = ticket["url"].replace("/v1/inbox/events", "/v1/events")
    assert httpx.get(url + elsewhere).status_code == 401
    assert client.post("/v1/tickets", json={"inbox": True, "run_id": str(uuid4())}).status_code == 422

"""Tickets for event streams, and streams whose access is taken away."""

import time
from uuid import uuid4

import httpx
import pytest
from fastapi.testclient import TestClient

from shared.contracts.roles import Role
from shared.errors import UserError
from tests.api.conftest import MakeClient
from tests.api.people import Person, bearer, change, member, project
from tests.support.platform import API_KEY, Platform

NOBODY = {"Authorization": ""}


@pytest.fixture
def owner(client: TestClient) -> Person:
    return Person(client, "bootstrap-default", API_KEY)


def ended_run(platform: Platform) -> str:
    """A run whose stream ends by itself."""
    run = platform.submit("test.inline", steps=1)
    change(
        platform,
        "UPDATE runs SET state = 'cancelled', finished_at = now(), event_seq = 2 WHERE id = :id",
        id=run,
    )
    change(
        platform,
        "INSERT INTO run_events (run_id, seq, attempt, type, data) "
        "VALUES (:id, 2, 1, 'state', '{\"state\": \"cancelled\"}')",
        id=run,
    )
    return str(run)


def test_a_ticket_opens_its_stream_without_a_key(client: TestClient, owner: Person, platform: Platform) -> None:
    run = ended_run(platform)
    ticket = owner.ok("POST", "/v1/tickets", json={"run_id": run})
    answer = client.get(ticket["url"], headers=NOBODY)
    assert answer.status_code == 200
    assert "event: end" in answer.text


def test_a_ticket_opens_nothing_else(client: TestClient, owner: Person, platform: Platform) -> None:
    run, other = ended_run(platform), ended_run(platform)
    ticket = owner.ok("POST", "/v1/tickets", json={"run_id": run})["ticket"]
    of_project = owner.ok("POST", "/v1/tickets", json={})["ticket"]
    for path, used in (
        (f"/v1/runs/{other}/events", ticket),
        ("/v1/events", ticket),
        (f"/v1/runs/{run}/events", of_project),
        (f"/v1/runs/{run}/events", f"{ticket}x"),
        (f"/v1/runs/{run}/events", ""),
    ):
        assert client.get(path, params={"ticket": used}, headers=NOBODY).status_code == 401, path
    for path in (f"/v1/runs/{run}", f"/v1/runs/{run}/logs", "/v1/me", "/v1/events/page"):
        assert client.get(path, params={"ticket": ticket}, headers=NOBODY).status_code in {401, 422}, path
    assert client.post(f"/v1/runs/{run}/events", params={"ticket": ticket}, headers=NOBODY).status_code == 405


def test_a_ticket_ends_with_its_key(client: TestClient, owner: Person, platform: Platform) -> None:
    made = owner.ok("POST", "/v1/keys", json={"name": "browser"})
    ticket = Person(client, "b", made["key"]).ok("POST", "/v1/tickets", json={"run_id": ended_run(platform)})
    owner.ok("DELETE", f"/v1/keys/{made['id']}")
    assert client.get(ticket["url"], headers=NOBODY).status_code == 401


def test_a_ticket_ends_with_its_minute(client: TestClient, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = client.post("/v1/tickets", json={"run_id": ended_run(platform)}).json()
    now_s = time.time()
    monkeypatch.setattr("shared.signing.time.time", lambda: now_s + 61)
    answer = client.get(ticket["url"], headers=NOBODY)
    assert answer.status_code == 401
    assert "POST /v1/tickets" in answer.json()["remedy"]


def test_a_stranger_gets_no_ticket_for_a_run_of_another_project(client: TestClient, platform: Platform) -> None:
    stranger = project(client, "other")
    answers = [stranger("POST", "/v1/tickets", json={"run_id": str(run)}) for run in (ended_run(platform), uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]


def test_a_secret_key_is_replaced_without_breaking_what_it_signed(make_client: MakeClient, platform: Platform) -> None:
    run = ended_run(platform)
    old = make_client(FAULTLINE_SECRET_KEYS=f'["{"o" * 32}"]').post("/v1/tickets", json={"run_id": run}).json()
    both = make_client(FAULTLINE_SECRET_KEYS=f'["{"n" * 32}", "{"o" * 32}"]')
    new_only = make_client(FAULTLINE_SECRET_KEYS=f'["{"n" * 32}"]')
    assert both.get(old["url"], headers=NOBODY).status_code == 200
    assert new_only.get(old["url"], headers=NOBODY).status_code == 401
    new = both.post("/v1/tickets", json={"run_id": run}).json()
    assert new_only.get(new["url"], headers=NOBODY).status_code == 200, "the first of the list signs"


def test_an_api_without_secret_keys_does_not_start(make_client: MakeClient) -> None:
    with pytest.raises(UserError, match="FAULTLINE_SECRET_KEYS is not set"):
        make_client(FAULTLINE_SECRET_KEYS="[]")


@pytest.mark.parametrize("how", ["key", "member", "principal", "project"])
def test_an_open_stream_ends_soon_after_its_access_is_taken_away(
    platform: Platform, client: TestClient, how: str
) -> None:
    url = platform.start_api()
    owner = project(client, "other")
    reader = member(owner, client, "reader", Role.EDITOR)
    run = reader.ok(
        "POST",
        "/v1/datasets/generate",
        json={"name": "d", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5},
    )["id"]
    with httpx.stream("GET", f"{url}/v1/runs/{run}/events", headers=bearer(reader.key), timeout=60) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert any(line.startswith("data:") for line in iter(lambda: next(lines), None) if line.startswith("data:"))
        if how == "key":
            key = next(key["id"] for key in owner.ok("GET", "/v1/keys")["items"] if key["principal"] == "reader")
            owner.ok("DELETE", f"/v1/keys/{key}")
        elif how == "member":
            owner.ok("DELETE", "/v1/members/reader")
        elif how == "principal":
            assert client.patch("/v1/principals/reader", json={"disabled": True}).is_success
        else:
            change(platform, "UPDATE projects SET deleted_at = now() WHERE name = 'other'")
        began_s = time.monotonic()
        assert sum(line.startswith("data:") for line in lines) <= 1, "a last word, and no event any more"
    assert time.monotonic() - began_s < 30, "within 5 s where nothing else is going on"

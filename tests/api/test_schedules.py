"""Schedules over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from shared.db.session import transaction
from shared.runs.schedules import fire_due
from tests.support.platform import Platform

GENERATE = {"name": "nightly-{time}", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}
NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "kind": "dataset.generate",
    "spec": GENERATE,
}


def test_a_schedule_shows_its_next_five_times_and_is_found_by_id_and_by_name(client: TestClient) -> None:
    answer = client.post("/v1/schedules", json=NIGHTLY)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["Location"] == f"/v1/schedules/{made['id']}"
    times = [datetime.fromisoformat(time) for time in made["next_times"]]
    assert len(times) == 5
    assert times == sorted(set(times))
    assert made == client.get("/v1/schedules/nightly").json() == client.get(f"/v1/schedules/{made['id']}").json()
    assert client.get("/v1/schedules").json()["items"] == [made]


def test_a_schedule_run_by_hand_submits_its_run_with_a_name_of_its_time(client: TestClient) -> None:
    made = client.post("/v1/schedules", json=NIGHTLY).json()
    answer = client.post("/v1/schedules/nightly/run")
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert run["schedule_id"] == made["id"]
    assert run["spec"]["name"].startswith("nightly-20")
    assert "{" not in run["spec"]["name"]


def test_a_change_keeps_what_is_not_sent_and_an_end_keeps_the_runs(client: TestClient) -> None:
    made = client.post("/v1/schedules", json=NIGHTLY).json()
    run = client.post("/v1/schedules/nightly/run").json()
    changed = client.patch("/v1/schedules/nightly", json={"enabled": False}).json()
    assert (changed["enabled"], changed["next_times"], changed["cron"]) == (False, [], made["cron"])
    changed = client.patch("/v1/schedules/nightly", json={"enabled": True, "cron": "0 0 1 1 *"}).json()
    assert (changed["spec"], len(changed["next_times"])) == (made["spec"], 5)
    assert client.delete("/v1/schedules/nightly").status_code == 204
    assert client.get("/v1/schedules/nightly").status_code == 404
    assert client.get(f"/v1/runs/{run['id']}").json()["schedule_id"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "never"},
        {"timezone": "Mars/Base"},
        {"kind": "no.such"},
        {"pool": "nowhere"},
        {"spec": GENERATE | {"name": "always-the-same"}},
        {"spec": GENERATE | {"duration_s": -1}},
        {"spec": {"name": 7}},
        {"name": "01a20ca8-e709-7ac7-831d-08bcbe392ef4"},
        {"overlap": "sometimes"},
        {"unknown": 1},
    ],
)
def test_what_could_never_run_is_refused_at_once(client: TestClient, platform: Platform, wrong: dict[str, Any]) -> None:
    answer = client.post("/v1/schedules", json=NIGHTLY | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.json()["remedy"]
    assert platform.rows("SELECT 1 FROM schedules") == []


def test_a_taken_name_is_refused_when_made_and_when_changed(client: TestClient) -> None:
    client.post("/v1/schedules", json=NIGHTLY)
    assert client.post("/v1/schedules", json=NIGHTLY).status_code == 409
    assert client.post("/v1/schedules", json=NIGHTLY | {"name": "other"}).status_code == 201
    assert client.patch("/v1/schedules/other", json={"name": "nightly"}).status_code == 409
    assert client.patch("/v1/schedules/other", json={"cron": None}).status_code == 422


def test_a_viewer_sees_schedules_and_changes_none(client: TestClient, platform: Platform) -> None:
    client.post("/v1/schedules", json=NIGHTLY)
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE memberships SET role = 'viewer'"))
    assert client.get("/v1/schedules/nightly").status_code == 200
    assert client.post("/v1/schedules", json=NIGHTLY | {"name": "b"}).status_code == 403
    assert client.patch("/v1/schedules/nightly", json={"enabled": False}).status_code == 403
    assert client.delete("/v1/schedules/nightly").status_code == 403
    assert client.post("/v1/schedules/nightly/run").status_code == 403


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_schedule_that_somebody_else_changed_is_not_changed_by_who_has_not_seen_it(
    client: TestClient, method: str
) -> None:
    client.post("/v1/schedules", json=NIGHTLY)
    body: dict[str, Any] = {"json": {"priority": 1}} if method == "PATCH" else {}
    seen = client.get("/v1/schedules/nightly").headers["ETag"]
    client.patch("/v1/schedules/nightly", json={"cron": "0 3 * * *"})
    refused = client.request(method, "/v1/schedules/nightly", headers={"If-Match": seen}, **body)
    assert refused.status_code == 412, refused.text
    now = client.get("/v1/schedules/nightly").headers["ETag"]
    assert client.request(method, "/v1/schedules/nightly", headers={"If-Match": now}, **body).is_success


def test_a_schedule_that_fired_is_still_what_a_careful_client_has_seen(client: TestClient, platform: Platform) -> None:
    made = client.post("/v1/schedules", json=NIGHTLY).json()
    before = client.get("/v1/schedules/nightly")
    due = datetime.fromisoformat(made["next_times"][0])
    assert fire_due(platform.engine, platform.settings, due) == 1
    assert fire_due(platform.engine, platform.settings, due + timedelta(days=1)) == 0, "its last run has not ended"
    now = client.get("/v1/schedules/nightly", headers={"If-None-Match": before.headers["ETag"]})
    assert now.status_code == 200, "what it shows is new, although nobody changed it"
    assert all(now.json()[field] != made[field] for field in ("next_times", "last_at", "last_error"))
    assert now.headers["ETag"] == before.headers["ETag"]
    seen = {"If-Match": before.headers["ETag"]}
    assert client.patch("/v1/schedules/nightly", json={"priority": 1}, headers=seen).status_code == 200
    assert client.patch("/v1/schedules/nightly", json={"priority": 2}, headers=seen).status_code == 412


def test_a_run_by_hand_that_is_asked_for_again_in_the_next_minute_is_the_same_run(
    client: TestClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/v1/schedules", json=NIGHTLY)
    once = {"Idempotency-Key": "by-hand"}
    moment = datetime(2026, 5, 1, 10, 0, 59, tzinfo=UTC)
    answers = []
    for seconds in (0, 2):
        monkeypatch.setattr("services.api.schedules._now", lambda at=moment + timedelta(seconds=seconds): at)
        answers.append(client.post("/v1/schedules/nightly/run", headers=once))
    assert [answer.status_code for answer in answers] == [202, 202], answers[1].text
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[0].json()["spec"]["name"].startswith("nightly-20260501-1000-")
    assert len(platform.rows("SELECT 1 FROM runs")) == 1
    client.post("/v1/schedules", json=NIGHTLY | {"name": "other"})
    assert client.post("/v1/schedules/other/run", headers=once).status_code == 409
    client.delete("/v1/schedules/nightly")
    assert client.post("/v1/schedules/nightly/run", headers=once).json()["id"] == answers[0].json()["id"]


def test_two_runs_by_hand_and_one_by_the_clock_fit_into_one_minute(
    client: TestClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.post("/v1/schedules", json=NIGHTLY | {"overlap": "allow"}).json()
    due = datetime.fromisoformat(made["next_times"][0])
    assert fire_due(platform.engine, platform.settings, due) == 1
    monkeypatch.setattr("services.api.schedules._now", lambda: due)
    answers = [client.post("/v1/schedules/nightly/run") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[1].text
    assert len(platform.rows("SELECT 1 FROM datasets")) == 3

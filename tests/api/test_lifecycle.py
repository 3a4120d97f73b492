"""Pause, resume, retry and clone over the API."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from shared.db.session import transaction
from tests.api.conftest import MakeClient
from tests.support.platform import Platform

GENERATE = {"name": "bearings", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}


def submitted(client: TestClient, **edit: Any) -> dict[str, Any]:
    answer = client.post("/v1/datasets/generate", json=GENERATE | edit)
    assert answer.status_code == 202, answer.text
    return answer.json()


def asked(client: TestClient, run: dict[str, Any], action: str, status: int = 202, **more: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/runs/{run['id']}/{action}", **more)
    assert answer.status_code == status, answer.text
    return answer.json()


def end(platform: Platform, run: dict[str, Any], state: str = "failed") -> None:
    with transaction(platform.engine) as session:
        session.execute(
            text("UPDATE runs SET state = :state, finished_at = now() WHERE id = :id"),
            {"id": run["id"], "state": state},
        )


def test_a_queued_run_is_paused_at_once_and_resumed_as_a_new_attempt(client: TestClient) -> None:
    run = submitted(client)
    paused = asked(client, run, "pause")
    assert paused["state"] == "paused"
    assert paused["pause_requested_at"]
    assert asked(client, run, "pause")["state"] == "paused", "asking twice is asking once"
    resumed = asked(client, run, "resume")
    assert (resumed["state"], resumed["attempt"], resumed["pause_requested_at"]) == ("queued", 2, None)
    assert asked(client, run, "resume")["attempt"] == 2


def test_a_paused_run_can_be_cancelled_and_then_not_be_paused(client: TestClient) -> None:
    run = submitted(client)
    asked(client, run, "pause")
    assert asked(client, run, "cancel")["state"] == "cancelled"
    for action in ("pause", "resume"):
        refused = asked(client, run, action, 409)
        assert "has ended (cancelled)" in refused["detail"]
        assert "Retry or clone" in refused["remedy"]


@pytest.mark.parametrize("state", ["failed", "cancelled", "quarantined"])
def test_a_run_that_ended_badly_is_retried_as_a_new_run_of_the_same_name(
    client: TestClient, platform: Platform, state: str
) -> None:
    run = submitted(client)
    end(platform, run, state)
    answer = client.post(f"/v1/runs/{run['id']}/retry")
    new = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/runs/{new['id']}")
    assert (new["state"], new["retry_of"], new["spec"]) == ("queued", run["id"], run["spec"])
    assert client.get("/v1/datasets/bearings").json()["run_id"] == new["id"]
    assert client.get(f"/v1/runs/{run['id']}").json()["state"] == state, "an end never changes"


def test_what_runs_or_has_succeeded_is_not_retried(client: TestClient, platform: Platform) -> None:
    run = submitted(client)
    assert "has not ended" in asked(client, run, "retry", 409)["detail"]
    end(platform, run, "succeeded")
    assert "Clone it" in asked(client, run, "retry", 409)["remedy"]


def test_a_repeated_key_retries_once(client: TestClient, platform: Platform) -> None:
    run = submitted(client)
    end(platform, run)
    first = asked(client, run, "retry", headers={"Idempotency-Key": "again"})
    second = asked(client, run, "retry", headers={"Idempotency-Key": "again"})
    assert first["id"] == second["id"]
    assert len(platform.rows("SELECT 1 FROM runs")) == 2


def test_a_clone_takes_what_is_edited_and_keeps_the_rest(client: TestClient) -> None:
    run = submitted(client, seed=7)
    body = {"spec": {"name": "other", "duration_s": 1.0}, "priority": 5, "labels": {"why": "longer"}}
    new = asked(client, run, "clone", json=body)
    assert new["spec"] == run["spec"] | body["spec"]
    assert (new["priority"], new["labels"], new["retry_of"]) == (5, {"why": "longer"}, None)


def test_null_in_a_clone_brings_the_default_back(client: TestClient) -> None:
    run = submitted(client, seed=99)
    new = asked(client, run, "clone", json={"spec": {"name": "other", "seed": None}})
    assert new["spec"]["seed"] != 99


@pytest.mark.parametrize(
    ("edit", "status", "word"),
    [
        ({"spec": {"name": "other", "duration_s": -1}}, 422, "spec.duration_s"),
        ({"spec": {"name": "other", "colour": "red"}}, 422, "spec.colour"),
        ({"spec": {}}, 409, "named 'bearings' already"),
        ({"spec": {"name": "other"}, "pool": "nowhere"}, 422, "no pool named"),
        ({"kind": "model.train"}, 422, "kind"),
    ],
)
def test_a_clone_is_checked_whole(client: TestClient, edit: dict[str, Any], status: int, word: str) -> None:
    run = submitted(client)
    assert word in asked(client, run, "clone", status, json=edit)["detail"]


@pytest.mark.parametrize("action", ["pause", "resume", "retry", "clone"])
def test_a_run_that_is_not_there_is_not_found(client: TestClient, action: str) -> None:
    body: dict[str, Any] = {"json": {}} if action == "clone" else {}
    asked(client, {"id": uuid4()}, action, 404, **body)


def test_each_of_them_leaves_a_line_in_the_audit_log(client: TestClient, platform: Platform) -> None:
    run = submitted(client)
    for action in ("pause", "resume", "cancel", "retry"):
        asked(client, run, action)
    lines = platform.rows("SELECT action FROM audit_log WHERE target = :id ORDER BY id", id=run["id"])
    assert [line["action"] for line in lines][1:] == ["run.pause", "run.resume", "run.cancel", "run.retry"]


def test_in_eager_mode_a_retried_run_has_ended_when_it_is_answered(make_client: MakeClient, platform: Platform) -> None:
    client = make_client(CELERY_ALWAYS_EAGER="true", FAULTLINE_HEARTBEAT_S="1", FAULTLINE_LEASE_S="30")
    run = submitted(client)
    assert run["state"] == "succeeded"
    end(platform, run)
    assert asked(client, run, "retry")["state"] == "succeeded"

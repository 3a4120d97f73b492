"""Batches over the API."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import MakeClient
from tests.api.test_lifecycle import GENERATE, asked
from tests.support.batches import children_of
from tests.support.platform import Platform


def run_named(name: str, **edit: Any) -> dict[str, Any]:
    return {"kind": "dataset.generate", "spec": GENERATE | {"name": name}} | edit


def batch(client: TestClient, runs: list[dict[str, Any]], status: int = 202, **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    answer = client.post("/v1/batches", json={"runs": runs, **more}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_batch_is_a_waiting_parent_and_its_queued_runs(client: TestClient, platform: Platform) -> None:
    runs = [run_named("a"), run_named("b", priority=0, labels={"own": "1", "who": "b"})]
    parent = batch(client, runs, policy="any", priority=7, labels={"who": "all"})
    assert (parent["kind"], parent["state"], parent["policy"]) == ("batch", "waiting", "any")
    assert parent["children"] == {
        "total": 2, "waiting": 2, "running": 0, "paused": 0, "succeeded": 0, "failed": 0, "cancelled": 0,
        "quarantined": 0,
    }  # fmt: skip
    first, second = children_of(platform, parent["id"])
    assert (first["priority"], first["labels"]) == (7, {"who": "all"})
    assert (second["priority"], second["labels"]) == (0, {"own": "1", "who": "b"})
    listed = client.get("/v1/runs", params={"kind": "batch"}).json()["items"]
    assert [item["children"]["total"] for item in listed] == [2]


def test_a_batch_is_all_or_nothing_and_says_which_run_is_wrong(client: TestClient, platform: Platform) -> None:
    problem = batch(client, [run_named("a"), {"kind": "dataset.generate", "spec": {"name": "?"}}], 422)
    assert problem["detail"].startswith("runs.1: spec.name")
    problem = batch(client, [run_named("a"), run_named("a")], 409)
    assert "runs.1: There is a dataset named 'a' already" in problem["detail"]
    problem = batch(client, [{"kind": "batch", "spec": {}}], 422)
    assert "runs.0: There is no kind" in problem["detail"]
    assert platform.rows("SELECT 1 FROM runs") == []


@pytest.mark.parametrize("edit", [{"runs": []}, {"policy": "most"}, {"colour": 1}, {"runs": [{}] * 1001}])
def test_a_batch_that_makes_no_sense_is_refused(client: TestClient, edit: dict[str, Any]) -> None:
    answer = client.post("/v1/batches", json={"runs": [run_named("a")]} | edit)
    assert answer.status_code == 422
    assert answer.json()["remedy"]


def test_a_repeated_key_gives_the_same_batch(client: TestClient, platform: Platform) -> None:
    headers = {"Idempotency-Key": "once"}
    first = batch(client, [run_named("a")], headers=headers)
    assert batch(client, [run_named("a")], headers=headers)["id"] == first["id"]
    assert "new key" in batch(client, [run_named("b")], 409, headers=headers)["remedy"]
    assert len(platform.rows("SELECT 1 FROM runs")) == 2


def test_a_batch_is_paused_resumed_cancelled_and_retried_as_one(client: TestClient) -> None:
    parent = batch(client, [run_named("a"), run_named("b")])
    assert asked(client, parent, "pause")["children"]["paused"] == 2
    assert asked(client, parent, "resume")["children"]["waiting"] == 2
    cancelled = asked(client, parent, "cancel")
    assert (cancelled["state"], cancelled["children"]["cancelled"]) == ("cancelled", 2)
    new = asked(client, parent, "retry")
    assert (new["retry_of"], new["children"]["waiting"]) == (parent["id"], 2)


def test_a_cloned_batch_edits_each_run(client: TestClient, platform: Platform) -> None:
    parent = batch(client, [run_named("a"), run_named("b")])
    assert "named 'a' already" in asked(client, parent, "clone", 409, json={"spec": {"seed": 5}})["detail"]
    asked(client, parent, "cancel")
    new = asked(client, parent, "clone", json={"spec": {"seed": 5}, "priority": 3})
    assert [child["spec"]["seed"] for child in children_of(platform, new["id"])] == [5, 5]
    assert {child["priority"] for child in children_of(platform, new["id"])} == {3}


def test_in_eager_mode_a_batch_has_ended_when_it_is_answered(make_client: MakeClient, platform: Platform) -> None:
    client = make_client(CELERY_ALWAYS_EAGER="true", FAULTLINE_HEARTBEAT_S="1", FAULTLINE_LEASE_S="30")
    parent = batch(client, [run_named("a"), run_named("b")])
    assert (parent["state"], parent["children"]["succeeded"]) == ("succeeded", 2)
    parent = batch(client, [run_named("c"), run_named("d"), run_named("e")], policy="any")
    assert (parent["state"], parent["children"]["succeeded"], parent["children"]["cancelled"]) == ("succeeded", 1, 2)
    assert platform.rows("SELECT 1 FROM outbox WHERE sent_at IS NULL AND not_before < now()") == []

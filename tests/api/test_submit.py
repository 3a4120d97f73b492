"""Submitting over the API."""

from fastapi.testclient import TestClient

from tests.support.platform import Platform

GENERATE = {"name": "bearings", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}


def test_a_request_without_a_key_is_refused_with_the_remedy(client: TestClient) -> None:
    answer = client.get("/v1/runs", headers={"Authorization": ""})
    assert answer.status_code == 401
    assert "faultline login" in answer.json()["remedy"]


def test_a_submitted_run_is_queued_and_has_a_location(client: TestClient) -> None:
    answer = client.post("/v1/datasets/generate", json=GENERATE)
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert run["state"] == "queued"
    assert answer.headers["Location"] == f"/v1/runs/{run['id']}"
    shown = client.get(answer.headers["Location"]).json()
    assert shown["wait_reason"] == "No live worker serves the pool 'generation'."
    assert client.get("/v1/datasets/bearings").json()["state"] == "queued"


def test_the_same_idempotency_key_gives_the_same_run(client: TestClient, platform: Platform) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/datasets/generate", json=GENERATE, headers=headers).json()
    again = client.post("/v1/datasets/generate", json=GENERATE, headers=headers).json()
    assert first["id"] == again["id"]
    assert len(platform.rows("SELECT 1 FROM runs")) == 1


def test_an_idempotency_key_cannot_be_used_for_something_else(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    client.post("/v1/datasets/generate", json=GENERATE, headers=headers)
    answer = client.post("/v1/datasets/generate", json=GENERATE | {"seed": 8}, headers=headers)
    assert answer.status_code == 409
    assert "new key" in answer.json()["remedy"]


def test_a_taken_name_is_refused_before_any_work_and_leaves_nothing(client: TestClient, platform: Platform) -> None:
    client.post("/v1/datasets/generate", json=GENERATE)
    answer = client.post("/v1/datasets/generate", json=GENERATE)
    assert answer.status_code == 409
    assert len(platform.rows("SELECT 1 FROM runs")) == 1


def test_the_name_of_a_cancelled_run_is_free_again(client: TestClient) -> None:
    run = client.post("/v1/datasets/generate", json=GENERATE).json()
    cancelled = client.post(f"/v1/runs/{run['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert client.post("/v1/datasets/generate", json=GENERATE).status_code == 202


def test_training_on_a_dataset_that_is_not_ready_is_refused(client: TestClient) -> None:
    client.post("/v1/datasets/generate", json=GENERATE)
    dataset = client.get("/v1/datasets/bearings").json()
    answer = client.post("/v1/trainings", json={"name": "m", "dataset_id": dataset["id"], "recipe": {"type": "rf"}})
    assert answer.status_code == 409
    assert "Wait for its run" in answer.json()["remedy"]


def test_runs_are_paged_newest_first(client: TestClient) -> None:
    ids = [client.post("/v1/datasets/generate", json=GENERATE | {"name": f"d{i}"}).json()["id"] for i in range(5)]
    first = client.get("/v1/runs", params={"limit": 2}).json()
    second = client.get("/v1/runs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/runs", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    seen = [run["id"] for page in (first, second, third) for run in page["items"]]
    assert seen == ids[::-1]
    assert third["next_cursor"] is None

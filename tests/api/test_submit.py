"""Submitting over the API."""

from fastapi.testclient import TestClient

from shared.db.session import transaction
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
    assert shown["wait_reason"] == "No live worker of the pool 'generation' serves dataset.generate."
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


def test_training_on_a_dataset_that_was_cancelled_says_to_make_it_again(client: TestClient) -> None:
    run = client.post("/v1/datasets/generate", json=GENERATE).json()
    client.post(f"/v1/runs/{run['id']}/cancel")
    dataset = client.get("/v1/datasets/bearings").json()
    answer = client.post("/v1/trainings", json={"name": "m", "dataset_id": dataset["id"], "recipe": {"type": "rf"}})
    assert answer.status_code == 409
    assert "Make it again" in answer.json()["remedy"]


def test_a_store_that_takes_nothing_is_a_503_with_the_remedy_and_leaves_no_row(
    client: TestClient, platform: Platform
) -> None:
    blocked = platform.folder / "artifacts" / "projects"
    blocked.write_text("a file where a folder should be")
    answer = client.post("/v1/uploads", files={"file": ("a.csv", b"1\n2\n")})
    assert answer.status_code == 503, answer.text
    assert "store" in answer.json()["remedy"]
    assert answer.headers["Retry-After"] == "1"
    assert platform.rows("SELECT 1 FROM uploads") == []


def test_every_metric_point_is_found_page_by_page(client: TestClient, platform: Platform) -> None:
    run = client.post("/v1/datasets/generate", json=GENERATE).json()["id"]
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO run_metrics SELECT "
            f"'{run}', 1, 'm' || name, step, step FROM generate_series(1, 60) name, generate_series(1, 7) step"
        )
    seen: list[tuple[int, str]] = []
    cursor: str | None = "-1"
    while cursor is not None:
        page = client.get(f"/v1/runs/{run}/metrics", params={"after": cursor, "limit": 100}).json()
        seen += [(point["step"], point["name"]) for point in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 420

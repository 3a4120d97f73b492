"""Deleting datasets and models: refused while in use, and then nothing of them is left but history."""

from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from uuid6 import uuid7

from shared.queue.steps import clean_up
from tests.api.conftest import MakeClient
from tests.retention.support import Attic
from tests.support.platform import Platform

DATASET = {"name": "d", "units_per_fault": 1, "records_per_unit": 1}


class Made:
    """A dataset and a model trained on it, with a file each."""

    def __init__(self, platform: Platform) -> None:
        self.attic = Attic(platform)
        self.runs = [self.attic.ended_run(days=1), self.attic.ended_run(days=1)]
        self.dataset, self.model = uuid7(), uuid7()
        project = platform.caller.project_id
        for run_id in self.runs:
            self.attic.artifact(run_id, "data.bin", b"d" * 100)
            self.attic.artifact(run_id, "log/0.jsonl", b"l" * 10, role="log")
        self.attic.sql(
            "INSERT INTO datasets (id, project_id, name, run_id) VALUES (:id, :project, 'd', :run)",
            id=self.dataset,
            project=project,
            run=self.runs[0],
        )
        self.attic.sql(
            "INSERT INTO models (id, project_id, name, run_id, dataset_id) VALUES (:id, :project, 'm', :run, :dataset)",
            id=self.model,
            project=project,
            run=self.runs[1],
            dataset=self.dataset,
        )

    def reader(self, of: UUID, state: str) -> UUID:
        """A run that reads it."""
        run_id = self.attic.platform.submit("test.inline", journal=str(uuid7()))
        ended = "now()" if state in {"succeeded", "failed"} else "NULL"
        self.attic.sql(
            f"UPDATE runs SET state = :state, finished_at = {ended}, "
            "inputs = jsonb_build_object(CAST(:of AS text), 1) WHERE id = :id",
            id=run_id,
            state=state,
            of=str(of),
        )
        return run_id


@pytest.fixture
def made(platform: Platform) -> Made:
    return Made(platform)


def test_a_dataset_goes_after_its_models_and_its_name_is_free(
    client: TestClient, made: Made, platform: Platform
) -> None:
    refused = client.delete("/v1/datasets/d")
    assert refused.status_code == 409
    assert "trained on the dataset 'd': m." in refused.json()["detail"]
    assert client.delete("/v1/models/m").status_code == 204
    assert client.delete(f"/v1/datasets/{made.dataset}").status_code == 204
    for address in ("/v1/models/m", "/v1/datasets/d", f"/v1/datasets/{made.dataset}"):
        assert client.get(address).status_code == 404
        assert client.delete(address).status_code == 404
    assert client.post("/v1/datasets/generate", json=DATASET).status_code == 202
    actions = [row["action"] for row in platform.rows("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["model.delete", "dataset.delete", "run.submit"]


def test_its_files_go_by_a_step_and_its_log_stays(client: TestClient, made: Made, platform: Platform) -> None:
    assert client.delete("/v1/models/m").status_code == 204
    steps = platform.rows("SELECT step, args FROM outbox")
    assert steps == [{"step": "run.cleanup", "args": {"run_id": str(made.runs[1])}}]
    before = made.attic.bytes_on_disk()

    class Runtime:
        engine, store = platform.engine, made.attic.store

    clean_up(steps[0]["args"], Runtime())  # type: ignore[arg-type]
    assert before - made.attic.bytes_on_disk() == 100
    assert platform.rows("SELECT role FROM artifacts WHERE run_id = :run", run=made.runs[1]) == [{"role": "log"}]


@pytest.mark.parametrize("state", ["queued", "dispatched", "running", "waiting", "paused"])
@pytest.mark.parametrize("what", ["dataset", "model"])
def test_what_a_run_reads_is_not_deleted(client: TestClient, made: Made, state: str, what: str) -> None:
    reader = made.reader(getattr(made, what), state)
    answer = client.delete(f"/v1/{what}s/{getattr(made, what)}")
    assert answer.status_code == 409
    assert str(reader) in answer.json()["detail"]
    assert client.get(f"/v1/{what}s/{getattr(made, what)}").status_code == 200


def test_what_ended_runs_have_read_can_go(client: TestClient, made: Made) -> None:
    made.reader(made.model, "succeeded")
    made.reader(made.model, "failed")
    assert client.delete("/v1/models/m").status_code == 204


def test_what_is_still_being_made_is_not_deleted(client: TestClient, made: Made) -> None:
    run_id = client.post("/v1/datasets/generate", json=DATASET | {"name": "coming"}).json()["id"]
    answer = client.delete("/v1/datasets/coming")
    assert answer.status_code == 409
    assert run_id in answer.json()["remedy"]


def test_another_projects_dataset_is_not_there(client: TestClient, made: Made) -> None:
    other = uuid7()
    made.attic.sql("INSERT INTO projects (id, name) VALUES (:id, 'other')", id=other)
    made.attic.sql("UPDATE models SET project_id = :id", id=other)
    assert client.delete("/v1/models/m").status_code == 404
    assert client.delete(f"/v1/models/{made.model}").status_code == 404
    assert made.attic.platform.rows("SELECT 1 FROM models") != []


def test_in_eager_mode_the_files_are_gone_when_the_answer_comes(make_client: MakeClient, made: Made) -> None:
    client = make_client(CELERY_ALWAYS_EAGER="true")
    assert client.delete("/v1/models/m").status_code == 204
    assert made.attic.bytes_on_disk() == 120

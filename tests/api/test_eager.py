"""Eager mode: a request runs what it submits, in its own process, after the commit."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.api.conftest import MakeClient
from tests.support.platform import Platform

RATE_HZ = 12_000


def record(folder: Path, fault: str, seed: int) -> bytes:
    """A `.mat` file whose noise is modulated at a rate that its fault decides."""
    noise = np.random.default_rng(seed).standard_normal(RATE_HZ)
    time_s = np.arange(RATE_HZ) / RATE_HZ
    rate_hz = {"ir": 162.0, "or": 107.0}[fault]
    signal = noise * (1 + 0.8 * np.sin(2 * np.pi * rate_hz * time_s))
    path = folder / f"{fault}{seed}.mat"
    scipy.io.savemat(str(path), {"X1_DE_time": signal.reshape(-1, 1), "X1RPM": 1797.0})
    return path.read_bytes()


@pytest.fixture
def client(make_client: MakeClient):
    return make_client(CELERY_ALWAYS_EAGER="true", FAULTLINE_HEARTBEAT_S="1", FAULTLINE_LEASE_S="30")


def succeeded(client, path: str, body: dict) -> dict:
    answer = client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert run["state"] == "succeeded", (run["envelope"], client.get(f"/v1/runs/{run['id']}/logs").json())
    return run


def test_eager_mode_runs_every_kind_before_it_answers(client, platform: Platform) -> None:
    uploads = []
    for index, fault in enumerate(["ir", "or"] * 4):
        name = f"{index}_{fault}{index // 2:03d}.mat"
        answer = client.post("/v1/uploads", files={"file": (name, record(platform.folder, fault, index))})
        assert answer.status_code == 201, answer.text
        uploads.append(answer.json()["id"])
    imported = succeeded(
        client,
        "/v1/datasets/import",
        {
            "name": "real",
            "uploads": uploads,
            "label_rule": r"^\d+_(?P<fault>[a-z]+)(?P<unit_no>\d+)",
            "unit_labels": ["fault", "unit_no"],
            "sample_rate_candidates_hz": [RATE_HZ],
        },
    )
    assert imported["envelope"]["result"]["faults"] == {"ir": 4, "or": 4}
    succeeded(
        client,
        "/v1/datasets/generate",
        {
            "name": "made",
            "faults": ["healthy", "outer_race"],
            "units_per_fault": 2,
            "records_per_unit": 1,
            "duration_s": 0.5,
        },
    )
    dataset = client.get("/v1/datasets/real").json()
    models = []
    for recipe in ({"type": "rf", "trees": 10}, {"type": "cnn1d", "epochs": 1, "width": 4}):
        body = {
            "name": f"m-{recipe['type']}",
            "dataset_id": dataset["id"],
            "recipe": recipe,
            "window_s": 0.2,  # the records are 1 s long and the tail of each validates
        }
        succeeded(client, "/v1/trainings", body)
        models.append(client.get(f"/v1/models/m-{recipe['type']}").json()["id"])
    for model in models:
        run = succeeded(client, "/v1/evaluations", {"model_ids": [model], "resamples": 100})
        assert run["envelope"]["result"]["record"]["count"] >= 2
    assert platform.rows("SELECT DISTINCT state FROM runs") == [{"state": "succeeded"}]
    assert platform.rows("SELECT 1 FROM outbox WHERE sent_at IS NULL AND not_before < now()") == [], "steps ran too"
    assert platform.rows("SELECT 1 FROM artifacts WHERE role = 'checkpoint'") == [], "the clean-up ran"


def test_a_failure_in_eager_mode_is_a_failed_run_not_a_failed_request(client) -> None:
    upload = client.post("/v1/uploads", files={"file": ("1_x.mat", b"this is no mat file")}).json()
    body = {
        "name": "broken",
        "uploads": [upload["id"]],
        "label_rule": r"_(?P<fault>\w)\.",
        "sample_rate_candidates_hz": [RATE_HZ],
    }
    run = client.post("/v1/datasets/import", json=body).json()
    assert run["state"] == "failed"
    assert run["envelope"]["error"]["remedy"]
    assert "Traceback" not in str(run["envelope"])

"""Bad input over the API: a clear error with its remedy, never a 5xx, nothing half-written."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from tests.support.platform import Platform

DATASET = {"name": "d", "units_per_fault": 1, "records_per_unit": 1}
IMPORT = {"name": "i", "uploads": [str(uuid4())], "label_rule": "(?P<fault>x)", "sample_rate_candidates_hz": [12000]}
TRAIN = {"name": "m", "dataset_id": str(uuid4()), "recipe": {"type": "rf"}}

JSON = {"Content-Type": "application/json"}

CASES: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "no JSON at all": ("POST", "/v1/trainings", {"content": b"{", "headers": JSON}, 422, "JSON"),
    "deeply nested JSON": ("POST", "/v1/trainings", {"content": b"[" * 100_000, "headers": JSON}, 400, "body"),
    "a list instead of an object": ("POST", "/v1/trainings", {"json": [1, 2]}, 422, "dictionary"),
    "an unknown field": ("POST", "/v1/datasets/generate", {"json": DATASET | {"colour": 1}}, 422, "colour"),
    "a name that is a path": ("POST", "/v1/datasets/generate", {"json": DATASET | {"name": "../../etc"}}, 422, "name"),
    "a NUL byte in a label": (
        "POST",
        "/v1/runs",
        {"json": {"kind": "dataset.generate", "spec": DATASET, "labels": {"a": "x\u0000y"}}},
        422,
        "labels",
    ),
    "a NUL byte in a rule": (
        "POST",
        "/v1/datasets/import",
        {"json": IMPORT | {"label_rule": "(?P<fault>x\u0000)"}},
        422,
        "label_rule",
    ),
    "numbers that are not finite": (
        "POST",
        "/v1/datasets/generate",
        {"content": b'{"name": "d", "duration_s": NaN}', "headers": JSON},
        422,
        "duration_s",
    ),
    "a dataset beyond all bounds": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET | {"units_per_fault": 10_000, "records_per_unit": 10_000}},
        422,
        "samples",
    ),
    "a fault that the family does not have": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET | {"faults": ["gremlins"]}},
        422,
        "gremlins",
    ),
    "an unknown kind": ("POST", "/v1/runs", {"json": {"kind": "os.system", "spec": {}}}, 422, "os.system"),
    "an unknown pool": ("POST", "/v1/datasets/generate?pool=gpu", {"json": DATASET}, 422, "gpu"),
    "a spec that is wrong": ("POST", "/v1/runs", {"json": {"kind": "model.train", "spec": {"name": 5}}}, 422, "spec."),
    "a dataset that does not exist": ("POST", "/v1/trainings", {"json": TRAIN}, 404, "no dataset"),
    "an upload that does not exist": ("POST", "/v1/datasets/import", {"json": IMPORT}, 404, "no upload"),
    "a rule that is no expression": (
        "POST",
        "/v1/datasets/import",
        {"json": IMPORT | {"label_rule": "(?P<fault>["}},
        422,
        "label_rule",
    ),
    "a rule without a fault": (
        "POST",
        "/v1/datasets/import",
        {"json": IMPORT | {"label_rule": "(?P<size>x)"}},
        422,
        "fault",
    ),
    "an id that is no id": ("GET", "/v1/runs/1%27%20OR%201=1", {}, 422, "run_id"),
    "a run of nobody": ("GET", f"/v1/runs/{uuid4()}", {}, 404, "no run"),
    "a run of nobody to cancel": ("POST", f"/v1/runs/{uuid4()}/cancel", {}, 404, "no run"),
    "a stream of nobody's run": ("GET", f"/v1/runs/{uuid4()}/events", {}, 404, "no run"),
    "a page that is too long": ("GET", "/v1/runs?limit=100000", {}, 422, "limit"),
    "a state that does not exist": ("GET", "/v1/runs?state=dreaming", {}, 422, "state"),
    "a cursor that is none": ("GET", "/v1/runs?cursor=zzz", {}, 422, "cursor"),
    "an idempotency key without end": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET, "headers": {"Idempotency-Key": "k" * 5000}},
        422,
        "Idempotency-Key",
    ),
    "a body beyond the limit": ("POST", "/v1/trainings", {"content": b"x" * (5 << 20)}, 413, "longer than"),
    "a length that is a lie": (
        "POST",
        "/v1/trainings",
        {"content": b"{}", "headers": {"Content-Length": "-5"}},
        413,
        "longer than",
    ),
    "an upload of another kind of file": ("POST", "/v1/uploads", {"files": {"file": ("a.exe", b"MZ")}}, 422, "a.exe"),
    "an upload whose name climbs": ("POST", "/v1/uploads", {"files": {"file": ("../..", b"x")}}, 422, "'..'"),
    "an empty upload": ("POST", "/v1/uploads", {"files": {"file": ("a.csv", b"")}}, 422, "empty"),
    "an upload without a file": ("POST", "/v1/uploads", {"data": {"file": "no"}}, 422, "file"),
    "an artifact of nobody": ("GET", f"/v1/artifacts/{uuid4()}", {}, 404, "no artifact"),
    "a route that does not exist": ("GET", "/v1/secrets", {}, 404, ""),
    "a method that does not exist": ("DELETE", "/v1/runs", {}, 405, ""),
    "a NUL byte in an address": ("GET", "/v1/datasets/a%00b", {}, 400, "NUL"),
    "half a surrogate pair": (
        "POST",
        "/v1/datasets/import",
        {"content": b'{"name": "i", "label_rule": "\\ud800"}', "headers": JSON},
        422,
        "surrogate",
    ),
    "a spec of many levels": (
        "POST",
        "/v1/runs",
        {"content": b'{"kind": "model.train", "spec": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", "headers": JSON},
        422,
        "levels",
    ),
    "a label without end": (
        "POST",
        "/v1/runs",
        {"json": {"kind": "dataset.generate", "spec": DATASET, "labels": {"a": "x" * 3_000_000}}},
        422,
        "labels",
    ),
    "a kind without end": ("POST", "/v1/runs", {"json": {"kind": "k" * 10_000, "spec": {}}}, 422, "kind"),
    "a channel without a name": ("POST", "/v1/datasets/import", {"json": IMPORT | {"channels": [""]}}, 422, "channels"),
    "a channel named twice": (
        "POST",
        "/v1/datasets/import",
        {"json": IMPORT | {"channels": ["DE", "DE"]}},
        422,
        "channels",
    ),
    "windows that hardly move": ("POST", "/v1/trainings", {"json": TRAIN | {"overlap": 0.9999}}, 422, "overlap"),
    "a model named twice": (
        "POST",
        "/v1/evaluations",
        {"json": {"model_ids": [TRAIN["dataset_id"], TRAIN["dataset_id"]]}},
        422,
        "model_ids",
    ),
    "a name that is too long": (
        "POST",
        "/v1/uploads",
        {"files": {"file": ("a" * 250 + ".csv", b"1")}},
        422,
        "no name",
    ),
    "a database's number overflowing": ("GET", f"/v1/runs/{uuid4()}/metrics?after={10**30}", {}, 422, "after"),
}


@pytest.mark.parametrize("case", CASES, ids=[name.replace(" ", "-") for name in CASES])
def test_bad_input_is_refused_with_a_remedy(client: TestClient, platform: Platform, case: str) -> None:
    method, path, arguments, status, fragment = CASES[case]
    answer = client.request(method, path, **arguments)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert fragment in problem["detail"], problem
    assert problem["remedy"]
    assert "Traceback" not in answer.text
    for table in ("runs", "datasets", "models", "uploads", "idempotency_keys", "outbox"):
        assert platform.rows(f"SELECT 1 FROM {table}") == [], table
    stored = platform.folder / "artifacts"
    assert [path for path in stored.rglob("*") if path.is_file()] == []


def test_an_upload_without_a_key_is_refused_before_its_form_is_read(client: TestClient) -> None:
    headers = {"Authorization": "Bearer fl_wrong", "Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/uploads", content=b"this is no form at all", headers=headers)
    assert answer.status_code == 401, "a form that was read would be refused as a form"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer fl_wrong", "Bearer " + "x" * 10_000])
def test_every_route_needs_a_key(client: TestClient, header: str) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    routes = [(method, path) for path, methods in paths.items() if path.startswith("/v1") for method in methods]
    assert len(routes) >= 18
    for method, path in routes:
        filled = path.replace("{run_id}", str(uuid4())).replace("{artifact_id}", str(uuid4()))
        answer = client.request(method, filled, headers={"Authorization": header})
        assert answer.status_code == 401, (method, path, answer.status_code)

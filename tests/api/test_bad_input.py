"""Bad input over the API: a clear error with its remedy, never a 5xx, nothing half-written."""

import gzip
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from services.api.app import build
from tests.support.platform import API_KEY, Platform

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
    # -- queries
    "a filter that is misspelt": ("GET", "/v1/runs?stat=failed", {}, 422, "'stat' is no query parameter"),
    "a parameter of another route": ("POST", "/v1/trainings?limit=3", {"json": TRAIN}, 422, "'limit'"),
    "a limit given twice": ("GET", "/v1/runs?limit=1&limit=2", {}, 422, "2 times"),
    "a limit of nothing": ("GET", "/v1/runs?limit=0", {}, 422, "limit"),
    "a limit below nothing": ("GET", "/v1/runs?limit=-1", {}, 422, "limit"),
    "a limit that is no number": ("GET", "/v1/runs?limit=1e2", {}, 422, "limit"),
    "a text of nothing": ("GET", "/v1/runs?q=", {}, 422, "q"),
    "a text without end": ("GET", f"/v1/runs?q={'x' * 201}", {}, 422, "q"),
    "a label without a colon": ("GET", "/v1/runs?label=team", {}, 422, "label"),
    "a label without a key": ("GET", "/v1/runs?label=:day", {}, 422, "label"),
    "a label with two values": ("GET", "/v1/runs?label=a:1&label=a:2", {}, 422, "label"),
    "more labels than a run can have": (
        "GET",
        "/v1/runs?" + "&".join(f"label=k{n}:1" for n in range(33)),
        {},
        422,
        "label",
    ),
    "a time without a zone": ("GET", "/v1/runs?created_after=2026-01-01T00:00:00", {}, 422, "created_after"),
    "a time that is none": ("GET", "/v1/runs?created_after=yesterday", {}, 422, "created_after"),
    "a time before time": ("GET", "/v1/runs?created_after=0001-01-01T00:00:00Z", {}, 422, "created_after"),
    "a time after time": ("GET", "/v1/runs?created_before=9999-12-31T23:59:59Z", {}, 422, "created_before"),
    "a parent that is no id": ("GET", "/v1/runs?parent=1", {}, 422, "parent"),
    "an order that is none": ("GET", "/v1/runs?order=random", {}, 422, "order"),
    "a beginning that is none": ("GET", "/v1/events?from=yesterday", {}, 422, "from"),
    "digits that are not ASCII": ("GET", "/v1/runs?limit=%D9%A3%D9%A3%D9%A3%D9%A3", {}, 422, "limit"),
    "brackets for a list": ("GET", "/v1/runs?state[]=failed", {}, 422, "state[]"),
    # -- cursors
    "a cursor of base64 that is empty": ("GET", "/v1/runs?cursor=AAAA", {}, 422, "cursor"),
    "a cursor of another server": ("GET", f"/v1/runs?cursor={'A' * 30}", {}, 422, "cursor"),
    "a cursor that is too long": ("GET", f"/v1/runs?cursor={'A' * 500}", {}, 422, "cursor"),
    "a cursor with other letters": ("GET", "/v1/runs?cursor=%E2%80%AE", {}, 422, "cursor"),
    "a cursor that is SQL": ("GET", "/v1/events/page?cursor=1;DROP%20TABLE%20runs", {}, 422, "cursor"),
    "a cursor of the future": ("GET", f"/v1/events/page?cursor={2**63}.1", {}, 422, "future"),
    "a cursor of logs that is none": ("GET", f"/v1/runs/{uuid4()}/logs?after=1.2.3", {}, 422, "after"),
    # -- headers
    "an event id that is a word": (
        "GET",
        f"/v1/runs/{uuid4()}/events",
        {"headers": {"Last-Event-ID": "abc"}},
        422,
        "Last-Event-ID",
    ),
    "an event id below nothing": (
        "GET",
        f"/v1/runs/{uuid4()}/events",
        {"headers": {"Last-Event-ID": "-1"}},
        422,
        "Last-Event-ID",
    ),
    "an event id beyond all numbers": (
        "GET",
        f"/v1/runs/{uuid4()}/events",
        {"headers": {"Last-Event-ID": "9" * 400}},
        422,
        "Last-Event-ID",
    ),
    "an event id of another stream": ("GET", "/v1/events", {"headers": {"Last-Event-ID": "17"}}, 422, "Last-Event-ID"),
    "an event id without end": ("GET", "/v1/events", {"headers": {"Last-Event-ID": "1." * 4000}}, 422, "Last-Event-ID"),
    "a tag where none is looked at": ("GET", "/v1/runs", {"headers": {"If-Match": '"x"'}}, 422, "If-Match"),
    "two idempotency keys": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET, "headers": [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]},
        422,
        "twice",
    ),
    "two event ids": (
        "GET",
        "/v1/events",
        {"headers": [("Last-Event-ID", "1.1"), ("Last-Event-ID", "2.2")]},
        422,
        "twice",
    ),
    # -- bodies
    "a field named twice": (
        "POST",
        "/v1/datasets/generate",
        {"content": b'{"name": "a", "name": "b"}', "headers": JSON},
        422,
        "'name' twice",
    ),
    "a field named twice deep inside": (
        "POST",
        "/v1/runs",
        {"content": b'{"kind": "model.train", "spec": {"a": [{"b": 1, "b": 2}]}}', "headers": JSON},
        422,
        "'b' twice",
    ),
    "a body without a type": ("POST", "/v1/trainings", {"content": b"{}"}, 415, "JSON"),
    "a body of text": (
        "POST",
        "/v1/trainings",
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
        415,
        "text/plain",
    ),
    "a body of XML": (
        "POST",
        "/v1/trainings",
        {"content": b"<a/>", "headers": {"Content-Type": "application/xml"}},
        415,
        "xml",
    ),
    "a form instead of JSON": ("POST", "/v1/trainings", {"data": {"name": "m"}}, 415, "form"),
    "JSON instead of a form": ("POST", "/v1/uploads", {"json": {"file": "x"}}, 415, "form"),
    "a form without a boundary": (
        "POST",
        "/v1/uploads",
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "",
    ),
    "a body that unpacks to much more": (
        "POST",
        "/v1/trainings",
        {"content": gzip.compress(b" " * (8 << 20)), "headers": JSON | {"Content-Encoding": "gzip"}},
        415,
        "gzip",
    ),
    "bytes that are no text": (
        "POST",
        "/v1/trainings",
        {"content": b'{"name": "\xff\xfe"}', "headers": JSON},
        400,
        "body",
    ),
    "a number of many digits": (
        "POST",
        "/v1/runs",
        {"content": b'{"priority": ' + b"9" * 5000 + b"}", "headers": JSON},
        400,
        "body",
    ),
    "a number beyond all numbers": (
        "POST",
        "/v1/runs",
        {"content": b'{"kind": "k", "spec": {}, "priority": 1e999}', "headers": JSON},
        422,
        "priority",
    ),
    "nothing at all": ("POST", "/v1/trainings", {}, 422, "body"),
    "null": ("POST", "/v1/trainings", {"content": b"null", "headers": JSON}, 422, "body"),
    "a name that runs backwards": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET | {"name": "a\u202eb"}},
        422,
        "name",
    ),
    "a name of letters that look alike": (
        "POST",
        "/v1/datasets/generate",
        {"json": DATASET | {"name": "\uff44"}},
        422,
        "name",
    ),
    # -- addresses
    "a path that climbs": ("GET", "/v1/datasets/..%2f..%2fetc%2fpasswd", {}, 404, ""),
    "a path with two slashes": ("GET", "/v1//runs", {}, 404, ""),
    "a path that ends with a slash": ("GET", "/v1/runs/", {}, 404, ""),
    "a name that is no text": ("GET", "/v1/datasets/%ff%fe", {}, 404, "no dataset"),
    "a name without end": ("GET", f"/v1/datasets/{'a' * 8000}", {}, 404, "no dataset"),
    "an id with a line break": ("GET", "/v1/runs/%0d%0aSet-Cookie:x", {}, 422, "run_id"),
    "a method that nobody has": ("PROPFIND", "/v1/runs", {}, 405, ""),
    "a trace": ("TRACE", "/v1/runs", {}, 405, ""),
}


@pytest.fixture(scope="module")
def platform(shared_platform: Platform) -> Platform:
    return shared_platform


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with TestClient(build(platform.settings), headers=headers, raise_server_exceptions=False) as client:
        yield client


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
    routes = [
        (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/v1") and operation["security"]
    ]
    assert len(routes) >= 18
    for method, path in routes:
        filled = path.replace("{run_id}", str(uuid4())).replace("{artifact_id}", str(uuid4()))
        answer = client.request(method, filled, headers={"Authorization": header})
        assert answer.status_code == 401, (method, path, answer.status_code)

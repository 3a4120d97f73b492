"""What holds for every route: ids, safe headers, ETags, one shape of errors, and a description that is true."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from services.api.app import build
from services.api.etags import IfMatch, tag_of, tag_of_view
from shared.contracts.views import MeView
from shared.errors import Stale
from tests.support.platform import API_KEY, Platform

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def platform(shared_platform: Platform) -> Platform:
    return shared_platform


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with TestClient(build(platform.settings), headers=headers, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_a_harmless_request_id_is_kept_and_any_other_replaced(client: TestClient) -> None:
    assert client.get("/v1/me", headers={"X-Request-Id": "abc-12345"}).headers["X-Request-Id"] == "abc-12345"
    for hostile in ("a", "x" * 65, 'a"b\\nc12345', "<script>alert</script>"):
        made = client.get("/v1/me", headers={"X-Request-Id": hostile}).headers["X-Request-Id"]
        assert made != hostile
        assert len(made) == 32


@pytest.mark.parametrize("path", ["/v1/me", "/v1/nothing", "/livez", "/v1/runs?limit=0"])
def test_every_answer_has_an_id_and_safe_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Request-Id"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] in {"no-store", "private, no-cache"}


def test_an_unforeseen_failure_says_nothing_of_itself_and_has_its_id(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr("services.api.runs.find_runs", broken)
    with capture_logs() as logs:
        answer = client.get("/v1/runs", headers={"X-Request-Id": "look-for-me"})
    assert answer.status_code == 500
    assert [line["error_id"] for line in logs if line["log_level"] == "error"] == [answer.json()["error_id"]]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == "look-for-me"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret" not in answer.text
    assert answer.json()["error_id"]


def test_what_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/v1/me")
    tag = first.headers["ETag"]
    assert tag == tag_of(first.content)
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get("/v1/me", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    assert client.get("/v1/me", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_tag_of_a_view_is_that_of_its_answer(client: TestClient) -> None:
    answer = client.get("/v1/me")
    tag = tag_of_view(MeView.model_validate_json(answer.content))
    IfMatch(answer.headers["ETag"]).against(tag)
    IfMatch("*").against(tag)
    IfMatch(None).against(tag)
    with pytest.raises(Stale):
        IfMatch('"other"').against(tag)


def test_a_request_is_one_span(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, ended = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(ended))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    assert client.get("/v1/me").is_success
    assert [span.name for span in ended.get_finished_spans()] == ["GET /v1/me"]


def test_a_misspelt_parameter_is_named_with_the_nearest_known_one(client: TestClient) -> None:
    problem = client.get("/v1/runs?sate=failed").json()
    assert "'sate'" in problem["detail"]
    assert "'state'" in problem["remedy"]


def test_health_needs_no_key_and_the_version_names_release_and_schema(client: TestClient) -> None:
    for path in ("/livez", "/readyz"):
        assert client.get(path, headers={"Authorization": ""}).text == "ok"
    version = client.get("/v1/version").json()
    assert version["api"] == "v1"
    assert version["database_revision"]
    assert client.get("/v1/version", headers={"Authorization": ""}).status_code == 401


def test_every_route_says_what_it_does_and_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    seen = operations(document)
    silent = [path for _method, path, each in seen if not each.get("summary") or not each.get("description")]
    assert not silent
    names = [operation["operationId"] for _method, _path, operation in seen]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    described = {tag["name"] for tag in document["tags"]}
    assert {tag for _method, _path, each in seen for tag in each["tags"]} <= described


def test_every_route_declares_the_errors_it_can_answer_with(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        declared = set(operation["responses"])
        if path == "/v1/links/{token}":  # pages for people without a key
            assert {"403", "404", "409", "410"} <= declared
            assert operation["security"] == []
            continue
        if path.startswith("/v1"):
            assert {"401", "403", "422", "429", "503"} <= declared, (method, path)
            assert operation["security"] == [{"key": []}]
        if "{" in path:
            assert "404" in declared, (method, path)
        if method != "get":
            assert "409" in declared, (method, path)
        for status in declared & {"401", "404", "409", "422"}:
            assert "application/problem+json" in operation["responses"][status]["content"], (method, path, status)


def test_errors_of_all_kinds_have_one_shape(client: TestClient) -> None:
    for answer in (
        client.get("/v1/nothing"),
        client.delete("/v1/runs"),
        client.get(f"/v1/runs/{uuid4()}"),
        client.get("/v1/me", headers={"Authorization": "Bearer no"}),
        client.post("/v1/runs", content=b"{}"),
        client.post("/v1/runs", json={}),
    ):
        assert answer.headers["Content-Type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["title"]
        assert problem["remedy"]

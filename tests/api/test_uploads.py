"""Files in: at once with an idempotency key, or in parts over as many connections as it takes."""

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import MakeClient
from tests.support.platform import Platform
from tests.support.s3 import S3Server, moto_process

PART = 8 << 20
DATA = bytes(range(251)) * 80_000  #: 20,080,000 bytes: three parts


def _begin(client: TestClient, data: bytes = DATA, **fields: Any) -> dict[str, Any]:
    asked = {"file_name": "a.csv", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} | fields
    answer = client.post("/v1/uploads/sessions", json=asked)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _part(number: int, data: bytes = DATA) -> bytes:
    return data[(number - 1) * PART : number * PART]


def _send(client: TestClient, session: dict[str, Any], *numbers: int) -> None:
    for number in numbers:
        url = session["parts"][number - 1]["url"]
        answer = client.put(url, content=_part(number), headers={"Authorization": ""})
        assert answer.status_code == 204, answer.text


def _address(session: dict[str, Any]) -> str:
    return f"/v1/uploads/sessions/{session['id']}"


def test_a_file_comes_in_parts_and_an_interruption_costs_only_what_is_missing(
    client: TestClient, platform: Platform
) -> None:
    session = _begin(client)
    assert [part["size_bytes"] for part in session["parts"]] == [PART, PART, len(DATA) - 2 * PART]
    _send(client, session, 3, 1)
    refused = client.post(f"{_address(session)}/complete")
    assert refused.status_code == 409
    assert "1 of 3 parts have not come: 2." in refused.json()["detail"]
    again = client.get(_address(session)).json()
    assert [part["received"] for part in again["parts"]] == [True, False, True]
    assert [part["url"] is None for part in again["parts"]] == [True, False, True]
    _send(client, again, 2)
    done = client.post(f"{_address(session)}/complete")
    assert done.status_code == 200, done.text
    assert done.json() | {"created_at": ""} == {
        "id": session["id"],
        "file_name": "a.csv",
        "size_bytes": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "created_at": "",
    }
    assert client.post(f"{_address(session)}/complete").json() == done.json()
    files = [path for path in (platform.folder / "artifacts").rglob("*") if path.is_file()]
    assert [path.read_bytes() == DATA for path in files] == [True]
    assert platform.rows("SELECT 1 FROM upload_sessions") == []
    actions = [row["action"] for row in platform.rows("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["upload.begin", "upload.create"]


def test_what_is_not_what_was_declared_is_refused_with_what_came(client: TestClient, platform: Platform) -> None:
    session = _begin(client, sha256="0" * 64)
    _send(client, session, 1, 2, 3)
    answer = client.post(f"{_address(session)}/complete")
    assert answer.status_code == 422
    assert hashlib.sha256(DATA).hexdigest() in answer.json()["detail"]
    assert platform.rows("SELECT 1 FROM uploads") == []
    assert client.delete(_address(session)).status_code == 204
    assert [path for path in (platform.folder / "artifacts").rglob("*") if path.is_file()] == []
    assert client.post(f"{_address(session)}/complete").status_code == 404


def _flip(url: str) -> str:
    middle = len(url) - 20
    return url[:middle] + ("A" if url[middle] != "A" else "B") + url[middle + 1 :]


HOSTILE: dict[str, tuple[str, Any, int]] = {
    "tampered": ("PUT", _flip, 401),
    "for another part": ("PUT", lambda url: url.replace("/parts/1?", "/parts/2?"), 401),
    "for another session": ("PUT", lambda url: url.replace(url.split("/")[-3], str(uuid4())), 401),
    "without a signature": ("PUT", lambda url: url.partition("?")[0], 401),
    "with an empty signature": ("PUT", lambda url: url.partition("=")[0] + "=", 401),
    "for another method": ("DELETE", lambda url: url, 405),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_url_serves_one_part_of_one_session_only(client: TestClient, platform: Platform, case: str) -> None:
    method, change, status = HOSTILE[case]
    session = _begin(client)
    url = change(session["parts"][0]["url"])
    answer = client.request(method, url, headers={"Authorization": ""})
    assert answer.status_code == status, answer.text
    assert not (platform.folder / "artifacts" / "projects").exists()


def test_a_url_ends_with_its_time_and_with_its_session(make_client: MakeClient, platform: Platform) -> None:
    client = make_client(FAULTLINE_UPLOAD_SESSION_S="0.001")
    late = _begin(client)
    url = late["parts"][0]["url"]
    assert client.put(url, content=_part(1), headers={"Authorization": ""}).status_code == 401
    assert client.get(_address(late)).status_code == 404
    client = make_client()
    aborted = _begin(client)
    assert client.delete(_address(aborted)).status_code == 204
    assert client.put(aborted["parts"][0]["url"], content=_part(1), headers={"Authorization": ""}).status_code == 404


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 422), (PART - 1, 422), (PART + 1, 413)])
def test_a_part_of_the_wrong_length_is_refused(client: TestClient, length: int, status: int) -> None:
    session = _begin(client)
    answer = client.put(session["parts"][0]["url"], content=bytes(length), headers={"Authorization": ""})
    assert answer.status_code == status
    assert str(PART) in answer.json()["detail"]
    assert not client.get(_address(session)).json()["parts"][0]["received"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"size_bytes": 0}, 422),
        ({"size_bytes": -1}, 422),
        ({"size_bytes": 3 << 30}, 413),
        ({"size_bytes": 1 << 70}, 422),
        ({"sha256": "abc"}, 422),
        ({"sha256": "G" * 64}, 422),
        ({"file_name": ""}, 422),
        ({"file_name": "../.."}, 422),
        ({"file_name": "a.exe"}, 422),
        ({"file_name": "a\u202e.csv"}, 422),
        ({"file_name": "a" * 300 + ".csv"}, 422),
        ({"part_bytes": 1}, 422),
    ],
)
def test_what_cannot_become_an_upload_is_refused_at_once(
    client: TestClient, platform: Platform, fields: dict[str, Any], status: int
) -> None:
    asked = {"file_name": "a.csv", "size_bytes": 10, "sha256": "0" * 64} | fields
    answer = client.post("/v1/uploads/sessions", json=asked)
    assert answer.status_code == status, answer.text
    assert answer.json()["remedy"]
    assert platform.rows("SELECT 1 FROM upload_sessions") == []


def test_a_project_cannot_open_sessions_without_end(client: TestClient, platform: Platform) -> None:
    for _ in range(100):
        _begin(client, b"x")
    answer = client.post("/v1/uploads/sessions", json={"file_name": "a.csv", "size_bytes": 1, "sha256": "0" * 64})
    assert answer.status_code == 409


def test_a_repeated_upload_is_stored_once(client: TestClient, platform: Platform) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = (client.post("/v1/uploads", files={"file": ("a.csv", b"1,2")}, headers=key) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    other = client.post("/v1/uploads", files={"file": ("a.csv", b"3,4")}, headers=key)
    assert other.status_code == 409
    assert len(platform.rows("SELECT 1 FROM uploads")) == 1
    assert len([path for path in (platform.folder / "artifacts").rglob("*") if path.is_file()]) == 1


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_process() as server:
        yield server


def test_with_s3_the_parts_go_past_the_api(make_client: MakeClient, s3: S3Server) -> None:
    client = make_client(**s3.environment(s3.bucket()))
    session = _begin(client)
    for part in session["parts"]:
        assert urlsplit(part["url"]).netloc == urlsplit(s3.endpoint).netloc
        assert httpx.put(part["url"], content=_part(part["number"])).status_code == 200
    assert all(part["received"] for part in client.get(_address(session)).json()["parts"])
    done = client.post(f"{_address(session)}/complete")
    assert done.status_code == 200, done.text
    assert done.json()["size_bytes"] == len(DATA)

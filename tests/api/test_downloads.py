"""Files out: ranges, what has not changed, and links that work without a key."""

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import MakeClient
from tests.retention.support import Attic
from tests.support.platform import Platform
from tests.support.s3 import S3Server, moto_process

DATA = b"0123456789" * 10
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


@pytest.fixture
def artifact(platform: Platform) -> UUID:
    attic = Attic(platform)
    attic.artifact(attic.ended_run(), "page.html", DATA)
    return UUID(str(platform.rows("SELECT id FROM artifacts")[0]["id"]))


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ({}, 200, DATA, None),
        ({"Range": "bytes=0-0"}, 206, b"0", "bytes 0-0/100"),
        ({"Range": "bytes=95-"}, 206, b"56789", "bytes 95-99/100"),
        ({"Range": "bytes=-3"}, 206, b"789", "bytes 97-99/100"),
        ({"Range": "bytes=-500"}, 206, DATA, "bytes 0-99/100"),
        ({"Range": "bytes=10-99999"}, 206, DATA[10:], "bytes 10-99/100"),
        ({"Range": "bytes=100-"}, 416, b"", "bytes */100"),
        ({"Range": "bytes=-0"}, 416, b"", "bytes */100"),
        ({"Range": "bytes=5-2"}, 200, DATA, None),
        ({"Range": "bytes=0-1,5-6"}, 200, DATA, None),
        ({"Range": "rows=0-1"}, 200, DATA, None),
        ({"Range": "bytes=" + "9" * 400 + "-"}, 200, DATA, None),
        ({"Range": "bytes=0-1", "If-Range": ETAG}, 206, b"01", "bytes 0-1/100"),
        ({"Range": "bytes=0-1", "If-Range": '"another"'}, 200, DATA, None),
        ({"If-None-Match": ETAG}, 304, b"", None),
        ({"If-None-Match": f'"x", W/{ETAG}'}, 304, b"", None),
        ({"If-None-Match": "*"}, 304, b"", None),
        ({"If-None-Match": '"another"'}, 200, DATA, None),
    ],
)
def test_what_is_asked_of_a_file_is_what_is_sent(
    client: TestClient, artifact: UUID, asked: dict[str, str], status: int, content: bytes, content_range: str | None
) -> None:
    answer = client.get(f"/v1/artifacts/{artifact}", headers=asked)
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["etag"] == ETAG
    head = client.head(f"/v1/artifacts/{artifact}", headers=asked)
    assert (head.status_code, head.content) == (status, b"")
    assert head.headers.get("content-length") == answer.headers.get("content-length")


def test_nothing_is_shown_or_run_by_a_browser(client: TestClient, artifact: UUID) -> None:
    url = client.post(f"/v1/artifacts/{artifact}/link", json={}).json()["url"]
    for answer in (client.get(f"/v1/artifacts/{artifact}"), client.get(url, headers={"Authorization": ""})):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"


def _link(client: TestClient, artifact: UUID, **fields: Any) -> str:
    answer = client.post(f"/v1/artifacts/{artifact}/link", json=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def test_a_link_works_without_a_key_and_also_in_parts(client: TestClient, artifact: UUID, platform: Platform) -> None:
    url = _link(client, artifact)
    nobody = {"Authorization": ""}
    assert client.get(url, headers=nobody).content == DATA
    assert client.get(url, headers=nobody | {"Range": "bytes=1-2"}).content == b"12"
    assert client.head(url, headers=nobody).status_code == 200
    assert [row["action"] for row in platform.rows("SELECT action FROM audit_log")] == ["artifact.link"]


def test_a_link_opens_nothing_else(client: TestClient, artifact: UUID) -> None:
    url = _link(client, artifact)
    others = {
        "another file": ("GET", url.replace(str(artifact), str(uuid4()))),
        "a method that writes": ("PUT", url.replace("/content", "")),
        "the file's other address": ("GET", url.replace("/content", "")),
        "a signature cut short": ("GET", url[:-3]),
        "no signature": ("GET", url.partition("?")[0]),
    }
    for name, (method, address) in others.items():
        answer = client.request(method, address, headers={"Authorization": ""})
        assert answer.status_code in {401, 405, 422}, name  # 422: that address knows no signature


def test_a_link_ends_with_its_project(client: TestClient, artifact: UUID, platform: Platform) -> None:
    url = _link(client, artifact)
    Attic(platform).sql("UPDATE projects SET deleted_at = now()")
    assert client.get(url, headers={"Authorization": ""}).status_code == 404


@pytest.mark.parametrize("seconds", [0, -1, 86_401, "soon"])
def test_a_link_lasts_a_day_at_most(client: TestClient, artifact: UUID, seconds: Any) -> None:
    assert client.post(f"/v1/artifacts/{artifact}/link", json={"expires_in_s": seconds}).status_code == 422


def test_a_file_of_another_project_is_not_linked(client: TestClient, artifact: UUID, platform: Platform) -> None:
    attic, other = Attic(platform), uuid4()
    attic.sql("INSERT INTO projects (id, name) VALUES (:id, 'other')", id=other)
    attic.sql("UPDATE runs SET project_id = :id", id=other)
    assert client.post(f"/v1/artifacts/{artifact}/link", json={}).status_code == 404
    assert client.get(f"/v1/artifacts/{artifact}").status_code == 404


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with moto_process() as server:
        yield server


def test_with_s3_a_link_goes_past_the_api(
    make_client: MakeClient, artifact: UUID, platform: Platform, s3: S3Server
) -> None:
    bucket = s3.bucket()
    key = platform.rows("SELECT key FROM artifacts")[0]["key"]
    s3.store(bucket).put(key, DATA)
    url = _link(make_client(**s3.environment(bucket)), artifact)
    assert url.startswith(f"{s3.endpoint}/{bucket}/")
    assert httpx.get(url).content == DATA

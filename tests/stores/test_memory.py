"""Large files through a real process of the API: whatever their size, it and its clients stay small.

128 MiB; 512 MiB with `CHAOS=long`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.people import bearer
from tests.stores.conftest import MakeStored
from tests.stores.support import store_of
from tests.support.memory import Peak
from tests.support.platform import API_KEY, ROOT, Platform

SIZE = (512 if os.environ.get("CHAOS") == "long" else 128) << 20
#: What a transfer may take beyond the idle process, for files of any size.
LIMIT = 64 << 20
pytestmark = pytest.mark.timeout(300)


class Server:
    """The API of a platform, warm."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.url = platform.start_api()
        self.http = httpx.Client(base_url=self.url, headers=bearer(API_KEY), timeout=120)
        self.http.post("/v1/uploads", files={"file": ("small.csv", b"1,2\n")}).raise_for_status()
        store_of(platform).put("warm", b"x")

    def peak(self) -> Peak:
        """Of its memory, from now on."""
        return Peak(self.platform.processes["api"].pid)

    def carry(self, *words: str) -> int:
        """Let a client in a process of its own carry a file; how much it grew."""
        command = [sys.executable, "-m", "tests.support.carrier", self.url, API_KEY, *words]
        own = {**os.environ, "XDG_CACHE_HOME": str(self.platform.folder)}
        done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)


@pytest.fixture
def server(make_stored: MakeStored) -> Iterator[Server]:
    made = Server(make_stored())
    yield made
    made.http.close()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of that size."""
    path = tmp_path / "large.csv"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(block)
    return path


def _bounded(**growth: int) -> None:
    assert max(growth.values()) < LIMIT, growth


def test_an_upload_in_one_request_takes_little_memory(server: Server, large: Path) -> None:
    peak = server.peak()
    with large.open("rb") as file:
        server.http.post("/v1/uploads", files={"file": ("large.csv", file)}).raise_for_status()
    _bounded(api=peak.growth_bytes())


def test_an_upload_in_parts_takes_little_memory(server: Server, large: Path) -> None:
    peak = server.peak()
    client = server.carry("upload", str(large))
    _bounded(api=peak.growth_bytes(), client=client)


def _artifact(platform: Platform, path: Path) -> dict[str, Any]:
    """The file as an artifact of a run."""
    run = platform.submit("test.inline")
    stored = store_of(platform).put(f"projects/{platform.caller.project_id}/runs/{run}/1/large.bin", path)
    [row] = platform.rows(
        "INSERT INTO artifacts (id, run_id, attempt, role, name, key, size_bytes, sha256, content_type) "
        "VALUES (:id, :run, 0, 'artifact', 'large.bin', :key, :size, :sha256, 'x') RETURNING id, run_id",
        id=uuid4(),
        run=run,
        key=stored.key,
        size=stored.size_bytes,
        sha256=stored.sha256,
    )
    return row


@pytest.mark.parametrize("asked", ["", f"bytes=0-{SIZE - 2}", f"bytes={SIZE // 2}-"])
def test_a_download_takes_little_memory(server: Server, large: Path, asked: str) -> None:
    artifact = _artifact(server.platform, large)
    server.http.get("/v1/artifacts/" + str(artifact["id"]), headers={"Range": "bytes=0-9"}).raise_for_status()
    peak = server.peak()
    received = 0
    headers = {"Range": asked} if asked else {}
    with server.http.stream("GET", f"/v1/artifacts/{artifact['id']}", headers=headers) as answer:
        for block in answer.iter_raw():
            received += len(block)
    assert received == int(answer.headers["content-length"]) >= SIZE // 2
    _bounded(api=peak.growth_bytes())


def test_a_client_that_downloads_takes_little_memory(server: Server, large: Path, tmp_path: Path) -> None:
    artifact = _artifact(server.platform, large)
    peak = server.peak()
    client = server.carry("download", str(artifact["run_id"]), str(tmp_path / "to"))
    assert (tmp_path / "to" / "large.bin").stat().st_size == SIZE
    _bounded(api=peak.growth_bytes(), client=client)

"""Files in parts to the real API: over a cut, to a bucket beside it, and from the command line."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import Result

from services.api.app import build
from services.cli.sdk import Client, Damaged, NotReachable
from services.cli.sdk import uploads as uploading
from tests.cli.conftest import REAL_URL, InProcess, MakeClient
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, ROOT, Platform, settings_from
from tests.support.s3 import moto_process

Faultline = Callable[..., Result]
DATA = bytes(range(251)) * 80_000  #: 20,080,000 bytes: three parts


class Line(httpx.BaseTransport):
    """The way to the API, which breaks for good after so many parts."""

    def __init__(self, server: TestClient, parts: int) -> None:
        self.way, self.left = InProcess(server), parts
        self.puts: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer."""
        if not self.left:
            raise httpx.ConnectError("no route to host")
        if request.method == "PUT":
            self.puts.append(request.url.path.rpartition("/")[2])
            self.left -= 1
        return self.way.handle_request(request)


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large; its parts are sent one by one."""
    monkeypatch.setattr(uploading, "IN_PARTS_BYTES", 1 << 20)
    monkeypatch.setattr(uploading, "PARTS_AT_ONCE", 1)
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "ball_1.csv").write_bytes(DATA)
    return folder / "ball_1.csv"


def test_after_a_cut_only_what_is_missing_is_sent(
    server: TestClient, make: MakeClient, platform: Platform, record: Path
):
    broken = Line(server, 2)
    with pytest.raises(NotReachable):
        make(API_KEY, broken).upload(record)
    assert broken.puts == ["1", "2"]
    mended = Line(server, 99)
    told: list[int] = []
    view = make(API_KEY, mended).upload(record, told.append)
    assert mended.puts == ["3"]
    assert told[0] == 2 * (8 << 20)
    assert view.sha256 == hashlib.sha256(DATA).hexdigest()
    again = Line(server, 1)
    assert make(API_KEY, again).upload(record).id == view.id
    assert again.puts == []
    assert len(platform.rows("SELECT 1 FROM uploads")) == 1


def test_a_file_that_is_written_to_meanwhile_is_refused_and_leaves_nothing(
    client: Client, platform: Platform, record: Path
):
    def overwrite(done: int) -> None:
        if done == 1 << 20:
            record.write_bytes(DATA[::-1])

    with pytest.raises(Damaged, match="SHA-256"):
        client.upload(record, overwrite)
    assert platform.rows("SELECT 1 FROM upload_sessions") == []


def test_an_aborted_session_is_begun_anew(server: TestClient, make: MakeClient, platform: Platform, record: Path):
    with pytest.raises(NotReachable):
        make(API_KEY, Line(server, 2)).upload(record)
    [session] = platform.rows("SELECT id FROM upload_sessions")
    client = make(API_KEY)
    client.abort_upload(session["id"])
    assert client.upload(record).id != session["id"]


def test_an_import_goes_on_with_the_same_command(
    real: Faultline, server: TestClient, make: MakeClient, monkeypatch: pytest.MonkeyPatch, record: Path
):
    words = ["datasets", "import", str(record.parent), "--name", "d", "--rate", "12000", "--rule", "(?P<fault>[a-z]+)"]
    lines = [Line(server, 2), Line(server, 99)]
    monkeypatch.setattr("services.cli.session.connect", lambda _: make(API_KEY, lines[0]))
    cut = real(*words)
    assert cut.exit_code == 3
    assert "large files go on where they were" in " ".join(cut.stderr.replace("│", " ").split())
    monkeypatch.setattr("services.cli.session.connect", lambda _: make(API_KEY, lines[1]))
    run: dict[str, Any] = json.loads(real(*words, "--json").stdout)
    assert run["kind"] == "dataset.import"
    assert lines[1].puts == ["3"]


def test_ctrl_c_says_how_to_go_on(real: Faultline, monkeypatch: pytest.MonkeyPatch, record: Path):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.cli.commands.dataset_import.upload", interrupted)
    words = ["datasets", "import", str(record.parent), "--name", "d", "--rate", "12000", "--rule", "(?P<fault>[a-z]+)"]
    result = real(*words)
    assert result.exit_code == 130
    assert "go on where they were" in result.stderr


UPLOADER = """
import pathlib, sys
from services.cli.sdk import Client, uploads
uploads.PARTS_AT_ONCE = 1
url, key, path = sys.argv[1:]

def report(done):
    if done > 8 << 20:  # the first part has come, the second is on its way
        print(done, flush=True)
        sys.stdin.read()

Client(url, key).upload_in_parts(pathlib.Path(path), report)
"""


def test_what_a_killed_process_has_sent_is_not_sent_again(make_platform: MakePlatform, record: Path):
    url = make_platform().start_api()
    words = [sys.executable, "-c", UPLOADER, url, API_KEY, str(record)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as uploader:
        assert uploader.stdout
        assert int(uploader.stdout.readline()) > 8 << 20
        uploader.kill()
    told: list[int] = []
    with Client(url, API_KEY) as client:
        view = client.upload(record, told.append)
    assert told[0] == 8 << 20
    assert view.sha256 == hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def with_bucket(platform: Platform) -> Iterator[tuple[TestClient, str]]:
    """The real API on a bucket, and where that answers."""
    with moto_process() as s3:
        with settings_from({**platform.environment, **s3.environment(s3.bucket())}) as settings:
            server = TestClient(build(settings), raise_server_exceptions=False)
        with server:
            yield server, s3.endpoint


def test_parts_go_to_a_bucket_past_the_api_without_our_key(with_bucket: tuple[TestClient, str], record: Path):
    server, endpoint = with_bucket
    seen: list[httpx.Request] = []

    class Watched(InProcess):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return super().handle_request(request)

    with Client(REAL_URL, API_KEY, transport=Watched(server)) as client:
        view = client.upload(record)
    assert view.sha256 == hashlib.sha256(DATA).hexdigest()
    parts = [request for request in seen if request.method == "PUT"]
    assert [str(part.url).startswith(endpoint) for part in parts] == [True] * 3
    assert all("Authorization" not in part.headers for part in parts)

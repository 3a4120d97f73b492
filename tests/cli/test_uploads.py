"""Files in parts: what came stays, what is missing is sent, what is wrong is given up."""

import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from services.cli.importing import upload
from services.cli.sdk import ApiNotFound, Client, Damaged, NotReachable
from services.cli.sdk import uploads as uploading
from services.cli.sdk.remembered import KEPT_S, Remembered
from shared.contracts.files import UploadPartView, UploadSessionView
from shared.contracts.views import UploadView
from tests.cli.fake_api import KEY, URL, answer, problem

SOON = datetime.now(UTC) + timedelta(hours=1)
PART = 1000
CONTENT = bytes(range(250)) * 18  #: 4,500 bytes: five parts, the last of them half
STORE = "https://store.example"


class Server(httpx.BaseTransport):
    """Takes one file in parts, at a store beside the API, and fails as it is told to."""

    def __init__(self, part_bytes: int = PART) -> None:
        self.part_bytes = part_bytes
        self.sessions: dict[UUID, tuple[str, int, str]] = {}
        self.parts: dict[int, bytes] = {}
        self.done: UploadView | None = None
        self.sent: list[int] = []  #: numbers of the parts that were PUT, in the order that they came
        self.blocks: list[int] = []  #: bytes of the pieces in which they came
        self.failures: dict[int, list[Exception | int]] = {}  #: of the PUTs of one part, one after the other
        self.away = threading.Event()  #: nothing answers any more
        self.aborted: list[UUID] = []

    def client(self) -> Client:
        """A client of it, as another process would have it."""
        return Client(URL, KEY, transport=self, sleep=lambda _: None, retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        if self.away.is_set():
            raise httpx.ConnectError("refused")
        if request.url.host == "store.example":
            return self._put(request)
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        words = request.url.path.strip("/").split("/")[3:]
        if request.method == "POST" and not words:
            body = httpx.Response(200, content=request.read()).json()
            self.sessions = {uuid4(): (body["file_name"], body["size_bytes"], body["sha256"])}
            return answer(201, self._view(next(iter(self.sessions))))
        session = UUID(words[0])
        if words[1:] == ["complete"] and self.done and self.done.id == session:
            return answer(200, self.done)
        if session not in self.sessions:
            return problem(404, "There is no open upload session.", "Begin a new one.")
        if request.method == "DELETE":
            self.aborted.append(session)
            self.sessions, self.parts = {}, {}
            return httpx.Response(204)
        return self._complete(session) if words[1:] == ["complete"] else answer(200, self._view(session))

    def _put(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers, "the key goes to its own API only"
        number = int(request.url.path.rpartition("/")[2])
        assert isinstance(request.stream, httpx.SyncByteStream)
        pieces = list(request.stream)
        self.sent.append(number)
        self.blocks += map(len, pieces)
        failure = self.failures[number].pop(0) if self.failures.get(number) else None
        if isinstance(failure, Exception):
            raise failure
        if failure is not None:
            return httpx.Response(failure, text="<Error/>")
        assert request.headers["Content-Length"] == str(sum(map(len, pieces)))
        self.parts[number] = b"".join(pieces)
        return httpx.Response(200)

    def _complete(self, session: UUID) -> httpx.Response:
        name, size, sha256 = self.sessions[session]
        content = b"".join(self.parts[number] for number in sorted(self.parts))
        if len(content) != size:
            return problem(409, "Parts have not come.", "Send them first.")
        if hashlib.sha256(content).hexdigest() != sha256:
            return problem(422, "What came has another SHA-256.", "Send what is wrong again.")
        self.sessions = {}
        self.done = UploadView(id=session, file_name=name, size_bytes=size, sha256=sha256, created_at=SOON)
        return answer(200, self.done)

    def _view(self, session: UUID) -> UploadSessionView:
        name, size, sha256 = self.sessions[session]
        parts = [
            UploadPartView(
                number=number,
                size_bytes=min(self.part_bytes, size - begin),
                received=number in self.parts,
                url=None if number in self.parts else f"{STORE}/parts/{number}",
                expires_at=SOON,
            )
            for number, begin in enumerate(range(0, size, self.part_bytes), 1)
        ]
        return UploadSessionView(
            id=session, file_name=name, size_bytes=size, sha256=sha256, part_bytes=self.part_bytes, expires_at=SOON,
            parts=parts,
        )  # fmt: skip


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "ball_1.csv"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are sent in order."""
    monkeypatch.setattr(uploading, "PARTS_AT_ONCE", 1)


def test_a_large_file_comes_whole_and_its_progress_ends_at_its_size(server: Server, record: Path):
    told: list[int] = []
    assert server.client().upload_in_parts(record, told.append) == server.done
    assert sorted(server.sent) == [1, 2, 3, 4, 5]
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


@pytest.mark.parametrize("failure", [httpx.WriteError("reset"), httpx.ReadTimeout("slow"), 503, 403, 401])
def test_a_part_that_is_cut_or_whose_url_is_too_old_is_sent_again(
    server: Server, record: Path, failure: Exception | int
):
    server.failures = {2: [failure], 4: [failure, failure]}
    told: list[int] = []
    server.client().upload_in_parts(record, told.append)
    assert server.done
    assert set(server.sent) == {1, 2, 3, 4, 5}
    assert told[-1] == len(CONTENT)


@pytest.mark.usefixtures("one_by_one")
def test_a_second_call_goes_on_where_the_first_ended(server: Server, record: Path):
    def gone_at(done: int) -> None:
        if done >= 3 * PART:
            server.away.set()

    with pytest.raises(NotReachable):
        server.client().upload_in_parts(record, gone_at)
    came = set(server.parts)
    assert came
    assert came != {1, 2, 3, 4, 5}
    server.away.clear()
    server.sent.clear()
    told: list[int] = []
    server.client().upload_in_parts(record, told.append)
    assert set(server.sent) == {1, 2, 3, 4, 5} - came
    assert told[0] == PART * len(came)


def test_a_file_that_has_come_whole_is_not_sent_again(server: Server, record: Path):
    first = server.client().upload_in_parts(record)
    server.sent.clear()
    told: list[int] = []
    assert server.client().upload_in_parts(record, told.append) == first
    assert (server.sent, told) == ([], [len(CONTENT)])


def test_a_session_that_is_over_is_begun_anew(server: Server, record: Path):
    server.client().upload_in_parts(record)
    server.done, server.parts = None, {}
    server.sent.clear()
    server.client().upload_in_parts(record)
    assert sorted(server.sent) == [1, 2, 3, 4, 5]


def rewrite(path: Path) -> None:
    """The same length, other bytes."""
    path.write_bytes(CONTENT[::-1])


def rename(path: Path) -> None:
    """The same bytes, another name."""
    path.rename(path.with_name("b.csv"))


@pytest.mark.parametrize("change", [rewrite, rename])
def test_a_file_that_was_changed_or_renamed_is_another_one(
    server: Server, record: Path, change: Callable[[Path], None]
):
    server.client().upload_in_parts(record)
    server.parts = {}
    server.sent.clear()
    change(record)
    server.client().upload_in_parts(next(record.parent.glob("*.csv")))
    assert sorted(server.sent) == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("written", [CONTENT[::-1], CONTENT[:1500]])
def test_a_file_that_is_written_to_meanwhile_is_refused_and_may_be_sent_again(
    server: Server, record: Path, written: bytes
):
    def overwritten(done: int) -> None:
        if done == PART:
            record.write_bytes(written)

    with pytest.raises(Damaged) as raised:
        server.client().upload_in_parts(record, overwritten)
    assert "Let nothing write" in raised.value.remedy
    record.write_bytes(CONTENT)
    server.client().upload_in_parts(record)
    assert server.done


def test_what_arrives_damaged_is_given_up_so_that_it_is_not_gone_on_with(server: Server, record: Path):
    server.client().upload_in_parts(record)
    [session] = [server.done.id] if server.done else []
    server.done = None
    server.sessions = {session: (record.name, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())}
    server.parts[3] = bytes(PART)
    with pytest.raises(Damaged):
        server.client().upload_in_parts(record)
    assert server.aborted == [session]
    server.client().upload_in_parts(record)
    assert server.done


def test_a_store_that_takes_nothing_is_given_up_after_a_bounded_number_of_tries(server: Server, record: Path):
    server.failures = {number: [httpx.ConnectError("refused")] * 99 for number in range(1, 6)}
    with pytest.raises(NotReachable, match=r"store\.example"):
        server.client().upload_in_parts(record)
    assert len(server.sent) <= 5 * 5


def test_a_refusal_is_not_repeated(server: Server, record: Path):
    server.failures = {number: [404] * 99 for number in range(1, 6)}
    with pytest.raises(ApiNotFound):
        server.client().upload_in_parts(record)
    assert len(server.sent) <= 5


def test_a_large_part_never_stands_in_memory_as_a_whole(tmp_path: Path):
    server = Server(part_bytes=8 << 20)
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.truncate(20 << 20)
    server.client().upload_in_parts(path)
    assert max(server.blocks) <= 1 << 20


def test_small_files_go_in_one_request_and_large_ones_in_parts(
    server: Server, record: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(uploading, "IN_PARTS_BYTES", len(CONTENT))
    server.client().upload(record)
    assert server.done


def test_a_report_that_raises_ends_all_parts(server: Server, record: Path):
    class Enough(Exception):
        pass

    def report(done: int) -> None:
        if done:
            raise Enough

    with pytest.raises(Enough):
        server.client().upload_in_parts(record, report)
    assert server.done is None


def test_where_one_file_fails_the_others_end_too(server: Server, record: Path, monkeypatch: pytest.MonkeyPatch):
    """A large file that is on its way ends with the first error, not with its last byte."""
    monkeypatch.setattr(uploading, "IN_PARTS_BYTES", 1)
    begun, failed = threading.Event(), threading.Event()
    other = record.with_name("ball_2.csv")

    def send(_: Client, path: Path, report: Callable[[int], None]) -> UploadView:
        if path == other:
            begun.wait(30)
            raise NotReachable("Nothing answers.")
        report(1)
        begun.set()
        while not failed.is_set():
            try:
                report(2)
            except Exception:
                failed.set()
                raise
        raise AssertionError

    monkeypatch.setattr(Client, "upload", send)
    with pytest.raises(NotReachable) as raised:
        upload(server.client(), [record, other])
    assert failed.is_set()
    assert "go on where they were" in raised.value.remedy


def test_a_memory_that_is_damaged_or_cannot_be_kept_costs_a_new_beginning_and_is_told(
    server: Server, record: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    server.client().upload_in_parts(record)
    [kept] = (tmp_path / "home" / ".cache" / "faultline" / "uploads").iterdir()
    kept.write_text("nonsense")
    server.client().upload_in_parts(record)
    assert "cannot be read" in caplog.text
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    server.client().upload_in_parts(record)
    assert "cannot be written" in caplog.text


def test_sessions_that_are_long_over_are_forgotten(tmp_path: Path):
    old, new = Remembered(URL, "a.csv", "1"), Remembered(URL, "b.csv", "2")
    old.write(uuid4())
    [path] = (tmp_path / "home" / ".cache" / "faultline" / "uploads").iterdir()
    os.utime(path, (0, path.stat().st_mtime - KEPT_S - 60))
    new.write(uuid4())
    assert old.read() is None
    assert new.read()

"""Downloads: whole and checked or not there, resumed where they broke off."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.cli.sdk import ApiNotFound, Client, Damaged, NotReachable
from shared.contracts.views import ArtifactView
from tests.cli.fake_api import KEY, URL, Dropping, problem

CONTENT = bytes(range(256)) * 1000


def artifact(content: bytes = CONTENT, name: str = "model.bin") -> ArtifactView:
    """As the server lists it."""
    return ArtifactView(
        id=uuid4(), run_id=uuid4(), attempt=1, name=name, role="artifact", size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(), content_type="x/y", created_at=datetime.now(UTC),
    )  # fmt: skip


class Store:
    """Gives one file, and breaks off where it is told to."""

    def __init__(self, content: bytes = CONTENT, cuts: list[int] | None = None, *, ranges: bool = True) -> None:
        self.content, self.cuts, self.ranges = content, cuts or [], ranges
        self.asked: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        begin = int(found[1]) if found and self.ranges else 0
        body = self.content[begin:]
        if self.cuts:
            return httpx.Response(206 if begin else 200, stream=Dropping(body[: self.cuts.pop(0)]))
        return httpx.Response(206 if begin else 200, content=body)

    def client(self) -> Client:
        """A client of it."""
        return Client(URL, KEY, transport=httpx.MockTransport(self), sleep=lambda _: None)


def hidden(folder: Path) -> list[str]:
    """Files that are not complete."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_comes_whole_and_nothing_else_stays(tmp_path: Path):
    told: list[int] = []
    path = Store().client().download(artifact(), tmp_path / "deep" / "model.bin", told.append)
    assert path.read_bytes() == CONTENT
    assert told[-1] == len(CONTENT)
    assert hidden(path.parent) == []


def test_an_empty_file_is_a_file(tmp_path: Path):
    path = Store(b"").client().download(artifact(b""), tmp_path / "empty")
    assert path.read_bytes() == b""


def test_a_broken_connection_is_resumed_behind_what_came(tmp_path: Path):
    store = Store(cuts=[1000, 0, 2000])
    assert store.client().download(artifact(), tmp_path / "m").read_bytes() == CONTENT
    assert store.asked == [None, "bytes=1000-", "bytes=1000-", "bytes=3000-"]


def test_a_server_without_ranges_gives_the_whole_again(tmp_path: Path):
    store = Store(cuts=[1000], ranges=False)
    assert store.client().download(artifact(), tmp_path / "m").read_bytes() == CONTENT


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(tmp_path: Path):
    wanted, store = artifact(), Store(cuts=[500, *[0] * 6])
    with pytest.raises(NotReachable):
        store.client().download(wanted, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    again = Store()
    assert again.client().download(wanted, tmp_path / "m").read_bytes() == CONTENT
    assert again.asked == ["bytes=500-"]


@pytest.mark.parametrize("sent", [CONTENT[:-1] + b"x", CONTENT + b"x"])
def test_a_file_that_differs_is_refused_and_removed(tmp_path: Path, sent: bytes):
    with pytest.raises(Damaged):
        Store(sent).client().download(artifact(), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_not_repeated(tmp_path: Path):
    asked: list[httpx.Request] = []

    def gone(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return problem(404, "There is no artifact.", "List them.")

    client = Client(URL, KEY, transport=httpx.MockTransport(gone))
    with pytest.raises(ApiNotFound):
        client.download(artifact(), tmp_path / "m")
    assert len(asked) == 1


def test_an_existing_file_is_replaced_only_by_a_whole_one(tmp_path: Path):
    target = tmp_path / "m"
    target.write_text("old")
    with pytest.raises(Damaged):
        Store(b"x" * len(CONTENT)).client().download(artifact(), target)
    assert target.read_text() == "old"
    Store().client().download(artifact(), target)
    assert target.read_bytes() == CONTENT


def test_a_large_file_never_stands_in_memory_as_a_whole(tmp_path: Path):
    block, count = b"y" * (1 << 20), 64

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(count):
                yield block

    digest = hashlib.sha256(block * count).hexdigest()
    wanted = artifact().model_copy(update={"size_bytes": count << 20, "sha256": digest})
    largest: list[int] = []
    before = 0

    def report(done: int) -> None:
        nonlocal before
        largest.append(done - before)
        before = done

    client = Client(URL, KEY, transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless())))
    client.download(wanted, tmp_path / "big", report)
    assert max(largest) <= 1 << 20

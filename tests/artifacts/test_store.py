"""One contract for every artifact store."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.artifacts import ArtifactStore
from shared.errors import NotFound, UserError


class ArtifactsContract:
    """What every store must do."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 3 << 20])
    def test_what_is_put_is_read_back_with_its_digest(self, store: ArtifactStore, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        stored = store.put("a/b.bin", data[:size])
        assert (stored.size_bytes, stored.sha256) == (size, hashlib.sha256(data[:size]).hexdigest())
        assert store.read("a/b.bin") == data[:size]
        assert store.exists("a/b.bin")

    def test_a_file_a_stream_and_bytes_are_stored_alike(self, store: ArtifactStore, tmp_path: Path) -> None:
        path = tmp_path / "source"
        path.write_bytes(b"hello")
        stored = [store.put("a", path), store.put("b", io.BytesIO(b"hello")), store.put("c", b"hello")]
        assert len({one.sha256 for one in stored}) == 1

    def test_a_second_put_replaces_the_first(self, store: ArtifactStore) -> None:
        store.put("k", b"one")
        store.put("k", b"two")
        assert store.read("k") == b"two"

    def test_what_is_too_long_is_not_stored(self, store: ArtifactStore) -> None:
        with pytest.raises(ValueError, match="more than 10 bytes"):
            store.put("k", b"x" * 3_000_000, max_bytes=10)
        assert not store.exists("k")

    def test_a_source_that_fails_leaves_nothing(self, store: ArtifactStore) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell() > 0:
                    raise OSError("the disk is gone")
                return super().read(1 << 20)

        with pytest.raises(OSError, match="the disk is gone"):
            store.put("k", Broken(b"x" * (3 << 20)))
        assert not store.exists("k")

    def test_what_is_not_there_is_not_found(self, store: ArtifactStore, tmp_path: Path) -> None:
        for look in (store.read, lambda key: store.fetch(key, tmp_path)):
            with pytest.raises(NotFound):
                look("no/such")
        assert not store.exists("no/such")

    def test_keys_are_listed_below_whole_segments(self, store: ArtifactStore) -> None:
        for key in ("run/1/a", "run/1/b/c", "run/10/a"):
            store.put(key, b"x")
        assert store.keys("run/1") == ["run/1/a", "run/1/b/c"]
        assert store.keys("run/2") == []

    def test_deleting_twice_is_no_error(self, store: ArtifactStore) -> None:
        store.put("a/b", b"x")
        store.delete(["a/b", "a/c"])
        store.delete(["a/b"])
        assert store.keys("a") == []

    def test_fetch_gives_a_local_file(self, store: ArtifactStore, tmp_path: Path) -> None:
        store.put("a/b", b"x" * 100)
        assert store.fetch("a/b", tmp_path / "into").read_bytes() == b"x" * 100

    @pytest.mark.parametrize(
        "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".hidden", "a\x00b", "ä", "a" * 901]
    )
    def test_a_hostile_key_is_refused(self, store: ArtifactStore, key: str) -> None:
        with pytest.raises(UserError):
            store.put(key, b"x")
        with pytest.raises(UserError):
            store.read(key)


class TestFolder(ArtifactsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore(f"file://{tmp_path / 'store'}")


class TestMemory(ArtifactsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore("memory://")


@pytest.mark.parametrize("url", ["", "nothing", "file://relative", "ftp://x/y", "s3://"])
def test_a_url_that_is_no_store_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(UserError) as refused:
        ArtifactStore(url)
    assert "FAULTLINE_ARTIFACT_STORE_URL" in refused.value.remedy


@given(key=st.text(max_size=30))
def test_no_key_leaves_the_folder(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    store = ArtifactStore(f"file://{folder / 'store'}")
    try:
        store.put(key, b"x")
    except UserError:
        return
    assert (folder / "store" / key).resolve().is_relative_to((folder / "store").resolve())
    store.delete([key])

"""One contract for every artifact store."""

import hashlib
import io
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.artifacts import ArtifactStore
from shared.errors import NotFound, StoreAway, UserError
from shared.settings import S3, Settings
from tests.support.platform import free_port
from tests.support.s3 import ENDPOINT, S3Server, real_server


class ArtifactsContract:
    """What every store must do."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 3 << 20, 8 << 20, (20 << 20) + 7])
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

    @pytest.mark.parametrize("max_bytes", [10, 19 << 20])
    def test_what_is_too_long_is_not_stored(self, store: ArtifactStore, max_bytes: int) -> None:
        with pytest.raises(ValueError, match=f"more than {max_bytes} bytes"):
            store.put("k", io.BytesIO(bytes(20 << 20)), max_bytes=max_bytes)
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

    def test_a_listing_tells_size_and_time_and_goes_beyond_one_page(self, store: ArtifactStore) -> None:
        for number in range(1003):
            store.put(f"many/{number:04d}", b"x" * (number % 7))
        listed = [one for page in store.pages("many") for one in page]
        assert sorted((one.key, one.size_bytes) for one in listed) == [(f"many/{n:04d}", n % 7) for n in range(1003)]
        age = datetime.now(UTC) - listed[0].modified_at
        assert timedelta(seconds=-5) < age < timedelta(minutes=5)
        store.delete([one.key for one in listed])
        assert store.keys("many") == []

    @pytest.mark.parametrize(
        ("start", "end"), [(0, 1), (5, 10), (3 << 20, None), (9_999_999, 10_000_000), (7, 1 << 40)]
    )
    def test_a_part_of_a_file_is_read(self, store: ArtifactStore, start: int, end: int | None) -> None:
        data = bytes(range(250)) * 40_000
        store.put("k", data)
        assert b"".join(store.stream("k", start, end)) == data[start:end]

    @pytest.mark.parametrize("key", ["a=b/c@d,e+f", "x/" + "y" * 200, "a/b.c/d_e-f", "0", "A/" * 60 + "z"])
    def test_odd_keys_come_back_as_they_are(self, store: ArtifactStore, key: str) -> None:
        store.put(key, b"content")
        assert store.read(key) == b"content"
        assert [one.key for page in store.pages(key.partition("/")[0]) for one in page] in ([key], [])
        store.delete([key])
        assert not store.exists(key)

    def test_deleting_twice_is_no_error(self, store: ArtifactStore) -> None:
        store.put("a/1", b"x")
        store.put("a/3", b"x")
        store.delete(["a/0", "a/1", "a/2", "a/3"])
        store.delete(["a/1"])
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

    def test_a_full_disk_is_a_store_that_is_away_and_leaves_nothing(self, tmp_path: Path) -> None:
        folder = tmp_path / "small"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
        if mounted.returncode:
            pytest.skip("a disk that fills up needs the right to mount a tmpfs")
        try:
            store = ArtifactStore(f"file://{folder}")
            store.put("kept", b"x")
            for source in (b"x" * (2 << 20), io.BytesIO(b"x" * (20 << 20))):
                with pytest.raises(StoreAway):
                    store.put("k", source)
                assert not store.exists("k")
            assert store.read("kept") == b"x"
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def test_a_folder_that_is_in_the_way_is_a_store_that_is_away(self, store: ArtifactStore) -> None:
        store.put("a", b"x")
        with pytest.raises(StoreAway):
            store.put("a/b", b"x")

    def test_files_half_written_by_a_dead_process_are_found_but_not_listed(self, tmp_path: Path) -> None:
        store = ArtifactStore(f"file://{tmp_path / 'store'}")
        store.put("a/b", b"x")
        (tmp_path / "store" / "a" / "c#1").write_bytes(b"half")
        assert store.keys("a") == ["a/b"]
        assert [(one.key, one.size_bytes) for _path, one in store.half_written()] == [("a/c#1", 4)]


class TestMemory(ArtifactsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore("memory://")


class TestS3(ArtifactsContract):
    @pytest.fixture
    def store(self, s3_server: S3Server) -> ArtifactStore:
        return s3_server.store()

    def test_a_server_that_is_down_is_a_store_that_is_away(self) -> None:
        store = S3Server(f"http://127.0.0.1:{free_port()}").store("bucket")
        _away(store)

    def test_wrong_credentials_are_a_store_that_is_away(self, s3_server: S3Server) -> None:
        bucket = s3_server.bucket()
        httpx.post(f"{s3_server.endpoint}/moto-api/reset-auth", content=b"0")
        try:
            _away(s3_server.store(bucket))
        finally:
            httpx.post(f"{s3_server.endpoint}/moto-api/reset-auth", content=b"inf")

    def test_a_bucket_that_is_missing_is_a_store_that_is_away(self, s3_server: S3Server) -> None:
        store = s3_server.store("no-such-bucket")
        for call in _calls(store)[:3]:
            with pytest.raises(StoreAway):
                call()

    def test_a_signed_url_reads_or_writes_one_key_for_a_while(self, store: ArtifactStore) -> None:
        put = store.sign("PUT", "a/b=1", 60)
        assert put is not None
        assert httpx.put(put, content=b"sent by a client").status_code == 200
        get = store.sign("GET", "a/b=1", 60)
        assert get is not None
        assert httpx.get(get).content == b"sent by a client"

    def test_a_browser_saves_what_it_gets_from_the_bucket(self, store: ArtifactStore) -> None:
        for key, data in (("small.html", b"<script>"), ("large.html", bytes(9 << 20))):
            store.put(key, data)
            url = store.sign("GET", key, 60)
            assert url is not None
            headers = httpx.get(url).headers
            assert headers["content-type"] == "application/octet-stream", key
            assert headers["content-disposition"] == "attachment", key

    def test_clients_are_sent_to_the_public_address(self, s3_server: S3Server) -> None:
        options = s3_server.options.model_copy(update={"public_endpoint": "https://files.example.org"})
        url = ArtifactStore("s3://some-bucket", options).sign("GET", "k", 60)
        assert url is not None
        assert url.startswith("https://files.example.org/some-bucket/k?")


class TestRealS3(ArtifactsContract):
    @pytest.fixture
    def store(self) -> Iterator[ArtifactStore]:
        server = real_server()
        if server is None:
            pytest.skip(f"a real S3 server is named by {ENDPOINT}, with its _KEY and _SECRET")
        yield server.store()


def _calls(store: ArtifactStore) -> list[Any]:
    return [
        lambda: store.put("k", b"x"),
        lambda: store.keys("k"),
        lambda: store.read("k"),
        lambda: store.exists("k"),
        lambda: store.delete(["k"]),
        lambda: store.put("k", io.BytesIO(bytes(9 << 20))),
    ]


def _away(store: ArtifactStore) -> None:
    for call in _calls(store):
        with pytest.raises(StoreAway):
            call()


def test_a_link_to_a_file_is_not_something_a_folder_gives(tmp_path: Path) -> None:
    for url in ("memory://", f"file://{tmp_path}"):
        assert ArtifactStore(url).sign("GET", "k", 60) is None


def test_an_endpoint_without_tls_must_be_meant() -> None:
    with pytest.raises(ValueError, match="FAULTLINE_S3_ALLOW_HTTP"):
        S3(endpoint="http://127.0.0.1:9000")
    with pytest.raises(ValueError, match="without credentials"):
        S3(endpoint="https://key:secret@host")


def test_the_secret_key_is_not_shown_by_what_holds_it() -> None:
    values = {"database_url": "postgresql://x/y", "broker_url": "redis://x", "artifact_store_url": "s3://abc"}
    settings = Settings.model_validate(values | {"s3_access_key_id": "AKIA", "s3_secret_access_key": "hush-hush"})
    for holder in (settings, settings.s3):
        assert "hush-hush" not in f"{holder!r} {holder} {holder.model_dump_json()}"
    with pytest.raises(UserError) as refused:
        ArtifactStore("s3://AKIA:hush-hush@bucket/x")
    assert "hush" not in refused.value.message + refused.value.remedy


@pytest.mark.parametrize(
    "url", ["", "nothing", "file://relative", "ftp://x/y", "s3://", "s3://B/x", "s3://bucket/a?b=c", "s3://bucket/ä"]
)
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

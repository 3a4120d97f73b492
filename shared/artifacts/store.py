"""Put, get and list files by key. `file://` for one machine, `s3://` for a cluster, `memory://` for tests.

obstore does the transport (multipart, retries, atomic rename); what is ours is the digest and the key rule.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from shared.errors import NotFound, StoreAway, UserError

_log = structlog.get_logger(__name__)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+@,-]*(/[A-Za-z0-9][A-Za-z0-9._=+@,-]*)*")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """What was written."""

    key: str
    size_bytes: int
    sha256: str


class _Digesting(io.RawIOBase):
    """Hashes and counts what is read through it, so that a file is read once."""

    def __init__(self, source: BinaryIO, max_bytes: int | None) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._source.read(size)
        self.digest.update(block)
        self.size_bytes += len(block)
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise ValueError(f"more than {self._max_bytes} bytes")
        return block

    def blocks(self) -> Iterator[bytes]:
        while block := self.read(_CHUNK):
            yield block


class ArtifactStore:
    """One bucket, folder or memory. Raises `UserError` for a URL or key that it does not understand."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._root: Path | None = None
        self._store: ObjectStore
        if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
            self._root = Path(parts.path)
            self._store = LocalStore(self._root, mkdir=True)
        elif parts.scheme == "memory":
            self._store = MemoryStore()
        elif parts.scheme == "s3" and parts.netloc:
            self._store = from_url(url)
        else:
            raise UserError(
                f"{url!r} is not an artifact store.",
                remedy="Set FAULTLINE_ARTIFACT_STORE_URL to file:///folder, s3://bucket/prefix or memory://.",
            )

    def put(self, key: str, source: Path | bytes | BinaryIO, *, max_bytes: int | None = None) -> Stored:
        """Write `source` under `key`, all or nothing. Raises `ValueError` beyond `max_bytes`."""
        _check(key)
        if isinstance(source, Path):
            with source.open("rb") as opened:
                return self.put(key, opened, max_bytes=max_bytes)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        reader = _Digesting(stream, max_bytes)
        with _reachable():
            obstore.put(self._store, key, reader.blocks())
        return Stored(key, reader.size_bytes, reader.digest.hexdigest())

    def read(self, key: str) -> bytes:
        """Whole content. Raises `NotFound`."""
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """Content in blocks. Raises `NotFound` before the first block."""
        _check(key)
        try:
            with _reachable():
                result = obstore.get(self._store, key)
        except (NotFoundError, FileNotFoundError) as error:
            raise _lost(key) from error
        return _blocks(result)

    def fetch(self, key: str, folder: Path) -> Path:
        """A local file with the content: in place where the store is a folder (read only), else a copy in `folder`."""
        _check(key)
        if self._root is not None:
            path = self._root / key
            if not path.is_file():
                raise _lost(key)
            return path
        path = folder / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(path.suffix + ".part")
            with partial.open("wb") as out:
                out.writelines(self.stream(key))
            partial.rename(path)
        return path

    def exists(self, key: str) -> bool:
        """Whether `key` is there."""
        _check(key)
        try:
            with _reachable():
                obstore.head(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    def keys(self, prefix: str) -> list[str]:
        """Keys below `prefix` (whole path segments)."""
        _check(prefix)
        with _reachable():
            return sorted(str(meta["path"]) for page in obstore.list(self._store, prefix) for meta in page)

    def delete(self, keys: list[str]) -> None:
        """Remove keys; one that is gone already is no error."""
        for key in keys:
            _check(key)
            try:
                with _reachable():
                    obstore.delete(self._store, key)
            except (NotFoundError, FileNotFoundError):
                continue


@contextmanager
def _reachable() -> Iterator[None]:
    """A full disk, a refused permission or a network that is down is nobody's request gone wrong."""
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise
    except BaseError as error:
        _log.warning("the artifact store failed", error=str(error)[:500])
        raise StoreAway from error


def _blocks(result: "obstore.GetResult") -> Iterator[bytes]:
    with _reachable():
        for block in result.stream(min_chunk_size=_CHUNK):
            yield bytes(block)


def _lost(key: str) -> NotFound:
    return NotFound(f"The file {key!r} is not in the store.", remedy="If it was there before, make it again.")


def _check(key: str) -> None:
    if len(key) > 900 or not _KEY.fullmatch(key):
        raise UserError(f"{key[:80]!r} is no artifact key.", remedy="Use letters, digits and ._=+@,- between slashes.")

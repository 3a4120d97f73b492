"""Put, get, list and sign files by key, in bounded memory whatever their size.

obstore does the transport (multipart, retries, atomic rename); what is ours is the digest, the key rule and the
errors: a file that is not there is `NotFound`, a store that does not answer as it should is `StoreAway`.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import obstore
import structlog
from obstore.exceptions import BaseError, NotFoundError

from shared.artifacts.backends import open_backend
from shared.errors import NotFound, StoreAway, UserError
from shared.settings import S3

if TYPE_CHECKING:  # not there at run time
    from obstore import Attributes, GetOptions, GetResult, ObjectMeta

_log = structlog.get_logger(__name__)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+@,-]*(/[A-Za-z0-9][A-Za-z0-9._=+@,-]*)*")
_CHUNK = 1 << 20
#: What fits is sent in one request; what does not goes in parts of this size, so a file may have 10,000 times as much.
_PART = 8 << 20
_PARTS_AT_ONCE = 2
_PAGE = 1000  #: keys in one answer of a listing and in one request to delete
#: A half-written file beside its target; obstore writes there, renames at the end and lists it never.
_STAGED = re.compile(r".+#\d+")
_GONE = (NotFoundError, FileNotFoundError)


@dataclass(frozen=True)
class Stored:
    """What was written."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Listed:
    """One file as the store lists it."""

    key: str
    size_bytes: int
    modified_at: datetime


class _Digesting:
    """Hashes and counts what is read through it, so that a file is read once."""

    def __init__(self, source: BinaryIO, max_bytes: int | None) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def blocks(self) -> Iterator[bytes]:
        while block := self._source.read(_CHUNK):
            self.digest.update(block)
            self.size_bytes += len(block)
            if self._max_bytes is not None and self.size_bytes > self._max_bytes:
                raise ValueError(f"more than {self._max_bytes} bytes")
            yield block


class ArtifactStore:
    """One bucket, folder or memory. Raises `UserError` for a URL or key that it does not understand."""

    def __init__(self, url: str, s3: S3 | None = None) -> None:
        self._backend = open_backend(url, s3 or S3())
        self._store = self._backend.store

    def put(self, key: str, source: Path | bytes | BinaryIO, *, max_bytes: int | None = None) -> Stored:
        """Write `source` under `key`, all or nothing. Raises `ValueError` beyond `max_bytes`."""
        _check(key)
        if isinstance(source, Path):
            with source.open("rb") as opened:
                return self.put(key, opened, max_bytes=max_bytes)
        reader = _Digesting(io.BytesIO(source) if isinstance(source, bytes) else source, max_bytes)
        blocks = reader.blocks()
        head: list[bytes] = []
        while sum(map(len, head)) < _PART and (block := next(blocks, b"")):
            head.append(block)
        with _reachable(self._missing):
            if sum(map(len, head)) < _PART:
                obstore.put(self._store, key, b"".join(head), use_multipart=False, attributes=self._attributes())
            else:
                obstore.put(
                    self._store,
                    key,
                    chain(_emptied(head), blocks),
                    attributes=self._attributes(),
                    chunk_size=_PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
        return Stored(key, reader.size_bytes, reader.digest.hexdigest())

    def read(self, key: str) -> bytes:
        """Whole content. Raises `NotFound`."""
        return b"".join(self.stream(key))

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Content in blocks, of bytes `start` up to `end`. Raises `NotFound` before the first block."""
        _check(key)
        options: GetOptions = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with _reachable(lambda: _lost(key)):
            result = obstore.get(self._store, key, options=options)
        return _blocks(result)

    def fetch(self, key: str, folder: Path) -> Path:
        """A local file with the content: in place where the store is a folder (read only), else a copy in `folder`."""
        _check(key)
        if self._backend.root is not None:
            path = self._backend.root / key
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
        return self.find(key) is not None

    def find(self, key: str) -> Listed | None:
        """What the store knows of `key`, if it is there."""
        _check(key)
        try:
            with _reachable(lambda: _lost(key)):
                return _listed(obstore.head(self._store, key))
        except NotFound:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Keys below `prefix` (whole path segments)."""
        return sorted(listed.key for page in self.pages(prefix) for listed in page)

    def pages(self, prefix: str) -> Iterator[list[Listed]]:
        """Files below `prefix` (whole path segments), a page at a time."""
        _check(prefix)
        with _reachable(self._missing):
            for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
                yield [_listed(meta) for meta in page]

    def delete(self, keys: list[str]) -> None:
        """Remove keys; one that is gone already is no error."""
        for key in keys:
            _check(key)
        for begin in range(0, len(keys), _PAGE):
            self._delete(keys[begin : begin + _PAGE])

    def _delete(self, keys: list[str]) -> None:
        """In one request where the store can; a folder stops at the first key that is gone, so there one by one."""
        for some in [keys] if self._backend.root is None else [[key] for key in keys]:
            try:
                with _reachable(lambda: _lost(keys[0])):
                    obstore.delete(self._store, some)
            except NotFound:
                continue

    def sign(self, method: Literal["GET", "PUT"], key: str, expires_in_s: float) -> str | None:
        """A URL that lets its holder read or write one key until it expires. None: this store has no such thing."""
        _check(key)
        if self._backend.signer is None:
            return None
        with _reachable(self._missing):
            return obstore.sign(self._backend.signer, method, key, timedelta(seconds=expires_in_s))

    def half_written(self) -> Iterator[tuple[Path, Listed]]:
        """Files of a folder whose writer has not come to the end, or died before; a bucket keeps none in sight."""
        root = self._backend.root
        for path in root.rglob("*#*") if root is not None else ():
            if _STAGED.fullmatch(path.name) and path.is_file():
                stat = path.stat()
                key = path.relative_to(root or path).as_posix()
                yield path, Listed(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def _attributes(self) -> "Attributes | None":
        """A browser that follows a link to the bucket saves the file, whatever is in it."""
        if self._backend.signer is None:
            return None
        return {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}

    @staticmethod
    def _missing() -> Exception:
        return StoreAway("The folder or bucket of the artifact store is not there.")


@contextmanager
def _reachable(missing: Callable[[], Exception]) -> Iterator[None]:
    """A full disk, a refused permission or a network that is down is nobody's request gone wrong."""
    try:
        yield
    except _GONE as error:
        if "NoSuchBucket" in str(error):
            raise StoreAway("The bucket of the artifact store is not there.") from error
        raise missing() from error
    except (BaseError, NotADirectoryError) as error:
        _log.warning("the artifact store failed", error=str(error).partition("\n")[0][:300])
        raise StoreAway from error


def _blocks(result: "GetResult") -> Iterator[bytes]:
    with _reachable(lambda: StoreAway("The file went away while it was read.")):
        for block in result.stream(min_chunk_size=_CHUNK):
            yield bytes(block)


def _emptied(head: list[bytes]) -> Iterator[bytes]:
    while head:
        yield head.pop(0)


def _listed(meta: "ObjectMeta") -> Listed:
    return Listed(str(meta["path"]), int(meta["size"]), meta["last_modified"])


def _lost(key: str) -> NotFound:
    return NotFound(f"The file {key!r} is not in the store.", remedy="If it was there before, make it again.")


def _check(key: str) -> None:
    if len(key) > 900 or not _KEY.fullmatch(key):
        raise UserError(f"{key[:80]!r} is no artifact key.", remedy="Use letters, digits and ._=+@,- between slashes.")

"""Files to the API: small ones in one request, large ones in parts that survive a cut.

A large file is announced with its SHA-256, and its parts go to signed URLs, a few at once. The server knows which have
come and `remembered.py` knows the session, so a later call, of another process too, sends only what is missing.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Lock
from uuid import UUID

from services.cli.sdk.errors import (
    ApiBusy,
    ApiError,
    ApiFailed,
    ApiForbidden,
    ApiInvalid,
    ApiNotFound,
    ApiUnauthorized,
    Damaged,
    NotReachable,
)
from services.cli.sdk.files import Report, Watched, sha256_of
from services.cli.sdk.patience import pause_s
from services.cli.sdk.remembered import Remembered
from services.cli.sdk.transport import TIMEOUT_S, Transport, parse
from shared.contracts.files import UploadPartView, UploadSessionView
from shared.contracts.views import UploadView

#: From here on a file goes in parts: what a cut costs before that is a few seconds.
IN_PARTS_BYTES = 32 << 20
PARTS_AT_ONCE = 4
_BLOCK_BYTES = 1 << 20
#: Rounds over the missing parts that bring none of them, until it is given up.
_MOST_EMPTY = 4
#: How fast the slowest store puts parts together; the answer to `complete` is waited for accordingly.
_JOINED_BYTES_PER_S = 10e6
_SESSIONS = "/v1/uploads/sessions"
_UNQUIET = "Let nothing write to the file, then send it again."
#: The store is away for longer than one request is patient, or a signed URL is too old: fresh ones are asked for.
_PASSES = (NotReachable, ApiFailed, ApiBusy, ApiUnauthorized, ApiForbidden)


class UploadCalls:
    """Send files."""

    http: Transport

    def upload(self, path: Path, report: Report | None = None) -> UploadView:
        """Send one file; `report` is told the bytes that are there so far, and may raise to stop.

        upload = client.upload(Path("record.mat"))

        A large file that was cut goes on where it was, in a later call too.
        Raises `ApiError`, `NotReachable`, `Damaged` if what arrived is not what is here, `OSError`.
        """
        if path.stat().st_size >= IN_PARTS_BYTES:
            return self.upload_in_parts(path, report)
        answer = self.http.post_file("/v1/uploads", lambda: (path.name, Watched(path, report)))
        return parse(UploadView, answer)

    def upload_in_parts(self, path: Path, report: Report | None = None) -> UploadView:
        """The same, in parts whatever the size."""
        size_bytes, sha256 = path.stat().st_size, sha256_of(path)
        memory = Remembered(self.http.url, path.name, sha256)
        found = self._found(memory.read(), size_bytes)
        if isinstance(found, UploadView):
            if report is not None:
                report(size_bytes)
            return found
        if found is None:
            body = {"file_name": path.name, "size_bytes": size_bytes, "sha256": sha256}
            found = parse(UploadSessionView, self.http.post(_SESSIONS, body))
            memory.write(found.id)
        self._send_missing(path, found, report)
        try:
            return self._complete(found.id, size_bytes)
        except ApiInvalid as error:
            self.abort_upload(found.id)  # or every later call would go on with what is wrong
            memory.forget()
            raise Damaged(f"{path.name} did not arrive as it was. {error.message}", remedy=_UNQUIET) from error

    def upload_session(self, session_id: UUID) -> UploadSessionView:
        """Which parts of a file have come, and fresh URLs for the others. Raises `ApiNotFound` once it is over."""
        return parse(UploadSessionView, self.http.get(f"{_SESSIONS}/{session_id}"))

    def abort_upload(self, session_id: UUID) -> None:
        """Give up: what has come is removed."""
        self.http.delete(f"{_SESSIONS}/{session_id}")

    def _found(self, session_id: UUID | None, size_bytes: int) -> UploadSessionView | UploadView | None:
        """What has become of a session that was begun before: open, a whole file, or gone."""
        if session_id is None:
            return None
        with suppress(ApiNotFound):
            return self.upload_session(session_id)
        with suppress(ApiNotFound):
            return self._complete(session_id, size_bytes)
        return None

    def _complete(self, session_id: UUID, size_bytes: int) -> UploadView:
        """Have the parts put together and checked; once that is done, the same answer again."""
        patience_s = TIMEOUT_S + size_bytes / _JOINED_BYTES_PER_S
        return parse(UploadView, self.http.post(f"{_SESSIONS}/{session_id}/complete", timeout_s=patience_s))

    def _send_missing(self, path: Path, session: UploadSessionView, report: Report | None) -> None:
        """Send parts, in as many rounds as it takes. Raises the last error once rounds bring nothing more."""
        empty = 0
        while missing := _missing(session):
            error = _round(self.http, path, session, _Progress(session, report))
            session = self.upload_session(session.id)
            empty = 0 if len(_missing(session)) < len(missing) else empty + 1
            if error is not None and (empty == _MOST_EMPTY or not isinstance(error, _PASSES)):
                raise error
            if empty == _MOST_EMPTY:
                return  # `complete` will say what has not come
            if empty:
                self.http.sleep(pause_s(empty))


class _StoppedError(Exception):
    """Another part has failed for good."""


class _Progress:
    """Bytes that are there, over all parts; a part that starts again takes its own back."""

    def __init__(self, session: UploadSessionView, report: Report | None) -> None:
        self.over = Event()  #: nothing more is to be sent
        self._lock = Lock()
        self._report = report
        self._parts = {part.number: part.size_bytes for part in session.parts if part.received}
        self._tell()

    def tell(self, number: int, sent: int) -> None:
        """So many bytes of a part are sent."""
        if self.over.is_set():
            raise _StoppedError
        with self._lock:
            self._parts[number] = sent
            self._tell()

    def _tell(self) -> None:
        if self._report is not None:
            self._report(sum(self._parts.values()))


def _missing(session: UploadSessionView) -> list[UploadPartView]:
    return [part for part in session.parts if not part.received]


def _round(
    http: Transport, path: Path, session: UploadSessionView, progress: _Progress
) -> ApiError | NotReachable | None:
    """Send each missing part; the error that has ended it early, if one has. What was on its way then still goes."""
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool, ExitStack() as hurry:
        hurry.callback(progress.over.set)
        parts = [pool.submit(_send, http, path, session.part_bytes, part, progress) for part in _missing(session)]
        try:
            for sent in as_completed(parts):
                sent.result()
        except (ApiError, NotReachable) as error:
            hurry.pop_all()
            return error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return None


def _send(http: Transport, path: Path, part_bytes: int, part: UploadPartView, progress: _Progress) -> None:
    def blocks() -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek((part.number - 1) * part_bytes)
            left = part.size_bytes
            while left:
                block = file.read(min(_BLOCK_BYTES, left))
                if not block:
                    raise Damaged(f"{path.name} became shorter while it was sent.", remedy=_UNQUIET)
                yield block
                left -= len(block)
                progress.tell(part.number, part.size_bytes - left)

    assert part.url is not None, "a part that has not come has a URL"
    http.put_signed(part.url, blocks, part.size_bytes)

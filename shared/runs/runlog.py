"""The log of one attempt, stored in chunks of at most 1 MB or 2 s: readable live, and after a kill."""

import logging
import threading

import orjson
import structlog

from shared.artifacts import ArtifactStore
from shared.errors import StoreAway
from shared.runs.body import Put
from shared.runs.reporter import RunReporter

_log = structlog.get_logger(__name__)
_CHUNK_BYTES = 1 << 20
_CHUNK_S = 2.0
_MAX_CHUNK_S = 30.0  #: the longer a log, the larger its chunks
#: A body that prints without end fills neither disk nor memory; what is left out is counted in the last line.
_MAX_BYTES = 256 << 20
_MAX_WAITING_BYTES = 8 << 20


class RunLog:
    """Context manager; lines go to the store and their chunks are recorded through the reporter."""

    def __init__(self, store: ArtifactStore, prefix: str, reporter: RunReporter) -> None:
        self._store = store
        self._prefix = prefix
        self._reporter = reporter
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self._chunks = 0
        self._stored_bytes = 0
        self._left_out = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None  #: from the first line on

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def write(self, line: bytes) -> None:
        """Add one JSON line."""
        with self._lock:
            if self._stored_bytes + self._size_bytes > _MAX_BYTES or self._size_bytes > _MAX_WAITING_BYTES:
                self._left_out += 1
                return
            self._lines.append(line.rstrip(b"\n") + b"\n")
            self._size_bytes += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="run log", daemon=True)
                self._thread.start()
        if self._size_bytes >= _CHUNK_BYTES:
            self._wake.set()

    def _run(self) -> None:
        while not self._over:
            self._wake.wait(min(_MAX_CHUNK_S, _CHUNK_S * (1 + self._chunks / 100)))
            self._wake.clear()
            self._flush()
        if self._left_out:
            note = {"event": "lines were left out of this log", "level": "warning", "lines": self._left_out}
            self._lines.append(orjson.dumps(note) + b"\n")
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines, self._size_bytes = self._lines, [], 0
        if not lines:
            return
        name = f"{self._chunks:06d}.jsonl"
        try:
            stored = self._store.put(f"{self._prefix}/log/{name}", b"".join(lines))
        except (StoreAway, OSError) as error:
            _log.warning("a log chunk is not stored; it stays in the process log", lines=len(lines), error=str(error))
            return
        self._chunks += 1
        self._stored_bytes += stored.size_bytes
        self._reporter.record(Put(name, "log", stored, "application/x-ndjson"))


class RunLogHandler(logging.Handler):
    """Sends the records of this process to a run log as well."""

    def __init__(self, log: RunLog, formatter: logging.Formatter) -> None:
        super().__init__()
        self._log = log
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Format and hand on. Records of the run log's own thread are left out: they would feed themselves."""
        if record.threadName != "run log":
            self._log.write(self.format(record).encode())

"""The log of an attempt, in chunks."""

import pytest

from shared.artifacts import ArtifactStore
from shared.runs import runlog
from shared.runs.reporter import RunReporter
from shared.runs.runlog import RunLog


def read(store: ArtifactStore) -> list[bytes]:
    return b"".join(store.read(key) for key in store.keys("run")).splitlines()


def test_a_long_steady_log_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "_CHUNK_BYTES", 10)
    store = ArtifactStore("memory://")
    with RunLog(store, "run", RunReporter(1)) as log:
        for number in range(2000):
            log.write(b'{"line": %d}' % number)
    assert len(read(store)) == 2000


def test_what_is_left_out_is_said_in_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "_MAX_WAITING_BYTES", 100)
    store = ArtifactStore("memory://")
    with RunLog(store, "run", RunReporter(1)) as log:
        for _ in range(100):
            log.write(b'{"event": "x"}')
    *kept, last = read(store)
    assert 0 < len(kept) < 100
    assert b"left out" in last
    assert b"%d" % (100 - len(kept)) in last

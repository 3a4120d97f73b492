"""The collector at work, again and again, while many runs publish: it takes what is lost and nothing else."""

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from shared.artifacts import ArtifactStore
from tests.stores.conftest import MakeStored
from tests.stores.support import collected, named, orphans, stored, submit_publishing
from tests.support.platform import Platform, until

SLOTS, FILES, GRACE_S = 50, 8, 3.0
RUNS = 2 * SLOTS
_BUSY = "SELECT count(*) AS n FROM runs WHERE state = 'running'"
_ENDED = "SELECT count(*) AS n FROM runs WHERE finished_at IS NOT NULL"


class Ledger(ArtifactStore):
    """A store that notes what is removed from it."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform.settings.artifact_store_url, platform.settings.s3)
        self.removed: dict[str, int] = {}

    def delete(self, keys: list[str]) -> None:
        """Look, then remove."""
        self.removed |= {key: found.size_bytes for key in keys if (found := self.find(key))}
        super().delete(keys)


class Collector:
    """Collects without a pause until it is told to end, and once more."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ledger = Ledger(platform)
        self.looked_s = 0.0  #: when the last finished collection began
        self.fruitful = 0  #: those that found something while runs went on
        self.freed_bytes: list[int] = []
        self.robbed: set[str] = set()  #: files that rows name and the store has not

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            self._once()
        self._once()

    def _once(self) -> None:
        began_s = time.monotonic()
        running = self._platform.rows(_BUSY)[0]["n"] > 0
        freed = collected(self._platform, self.ledger)
        self.fruitful += running and freed.count > 0
        self.looked_s = began_s
        self.freed_bytes.append(freed.size_bytes)
        rows = named(self._platform)  # first, for a file is there before its row
        self.robbed |= rows - stored(self._platform).keys()


@pytest.mark.timeout(240)
def test_what_fifty_runs_publish_stays_and_what_they_lose_is_freed_meanwhile(make_stored: MakeStored) -> None:
    platform = make_stored(FAULTLINE_GC_GRACE_S=str(GRACE_S), FAULTLINE_LEASE_S="60", FAULTLINE_HEARTBEAT_S="2")
    platform.start("dispatcher", "services.api.dispatcher")  # no reconciler: it would collect as well
    platform.start_worker("w1", "tests.support.worker_without_steps", FAULTLINE_WORKER_SLOTS=str(SLOTS))
    gates = [platform.folder / "first", platform.folder / "second"]
    with Collector(platform) as collector:
        for number in range(RUNS):
            dies = number % 12 == 5
            kind = "test.publish.supervised" if dies else "test.publish.inline"
            more: dict[str, Any] = {"dies": "before"} if dies else {"lost": number % 4}
            more |= {"files": FILES, "size_bytes": 2000 + number, "gate": str(gates[number // SLOTS])}
            submit_publishing(platform, kind, f"j{number}", **more)
        _until_all_hold(platform, collector, range(SLOTS))
        gates[0].touch()
        _until_all_hold(platform, collector, range(SLOTS, RUNS))
        until(lambda: collector.fruitful, 60, "nothing is freed while runs go on")
        gates[1].touch()
        until(lambda: platform.rows(_ENDED)[0]["n"] == RUNS, 120, f"the runs do not end:\n{platform.log('w1')}")
        until(lambda: not orphans(platform), 60, "something is never collected")
    assert collector.robbed == set()
    assert {row["state"] for row in platform.rows("SELECT state FROM runs")} == {"succeeded"}
    files = "SELECT count(*) AS n FROM artifacts a JOIN runs r ON r.id = a.run_id AND r.attempt = a.attempt"
    assert platform.rows(f"{files} WHERE a.role = 'artifact'")[0]["n"] == RUNS * FILES
    lost = {key for number in range(RUNS) for key in _lost(platform, number)}
    assert lost
    assert lost <= collector.ledger.removed.keys()
    assert sum(collector.freed_bytes) == sum(collector.ledger.removed.values())


def _until_all_hold(platform: Platform, collector: Collector, runs: range) -> None:
    """Every slot has a run that has stored a file and not named it, and that was seen when it was past the grace."""

    def held() -> bool:
        return all("holds" in _words(platform, number) for number in runs)

    until(held, 120, f"the slots do not fill:\n{platform.log('w1')}")
    old_s = time.monotonic() + GRACE_S + 1  # S3 tells whole seconds
    until(lambda: collector.looked_s > old_s, 60, "nobody collects")


def _words(platform: Platform, number: int) -> list[str]:
    path = platform.journal(f"j{number}")
    return path.read_text().split() if path.exists() else []


def _lost(platform: Platform, number: int) -> list[str]:
    words = _words(platform, number)
    return [key for word, key in pairwise(words) if word == "lost"]

"""Tells progress the usual way for some seconds and writes what a call cost, in us, into the job's result."""

import sys
import time

from tests.bench.peers.usual_celery import app, noop, step


def main() -> None:
    """As often as it can."""
    began_s, calls = time.perf_counter(), 0
    while time.perf_counter() - began_s < float(sys.argv[1]):
        step(1, "running", calls / 1e6)
        noop.backend.store_result("usual", {"progress": calls}, "PROGRESS")
        calls += 1
    step(1, "completed", 1.0, str((time.perf_counter() - began_s) / calls * 1e6))


if __name__ == "__main__":
    assert app.main == "usual"
    main()

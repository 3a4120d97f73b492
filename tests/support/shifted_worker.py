"""The tests' worker with a wall clock that is wrong by `SHIFT_S` seconds; the monotonic clock is right."""

import os
import time

_SHIFT_S = float(os.environ["SHIFT_S"])
_true_time = time.time
_true_time_ns = time.time_ns
time.time = lambda: _true_time() + _SHIFT_S
time.time_ns = lambda: _true_time_ns() + int(_SHIFT_S * 1e9)

from shared.queue.app import STEPS_QUEUE  # noqa: E402
from shared.queue.worker import run_worker  # noqa: E402 - everything that is imported sees the wrong clock

if __name__ == "__main__":
    run_worker("test", ["tests.support.tasks"], steps=[STEPS_QUEUE])

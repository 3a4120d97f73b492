"""A batch under fire: its parent ends exactly once, with the right counts."""

import itertools
from collections import Counter
from functools import partial

from shared.contracts.states import TERMINAL
from tests.conftest import MakePlatform
from tests.support.batches import children_of, submit_counting
from tests.support.platform import until

SIZE = 200


def test_a_batch_of_200_ends_once_with_the_right_counts_while_workers_die(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_MAX_CRASHES="20")
    platform.start_core()
    for name in ("w0", "w1"):
        platform.start_worker(name, FAULTLINE_WORKER_SLOTS="2")
    specs = [{"steps": 1, "step_s": 0.02} | ({"fail_at": 0} if index % 10 == 3 else {}) for index in range(SIZE)]
    parent = submit_counting(platform, "test.inline", specs, "best_effort")
    numbers = itertools.count(2)

    def enough(goal: int) -> bool:
        return sum(child["state"] in TERMINAL for child in children_of(platform, parent)) >= goal

    for goal, victim in ((20, "w0"), (60, "w1")):
        until(partial(enough, goal), 90, f"{goal} of {SIZE} runs do not end")
        platform.kill(victim)
        platform.start_worker(f"w{next(numbers)}", FAULTLINE_WORKER_SLOTS="2")
    row = platform.finished(parent, 110)
    counts = Counter(child["state"] for child in children_of(platform, parent))
    assert row["state"] == "succeeded"
    assert counts == {"succeeded": SIZE - 20, "failed": 20}
    told = row["envelope"]["result"]
    assert (told["total"], told["succeeded"], told["failed"]) == (SIZE, SIZE - 20, 20)
    assert (len(told["errors"]), len(told["successes"])) == (10, 100)
    assert platform.states(parent) == ["waiting", "succeeded"], "it ended once"
    progress = platform.rows("SELECT 1 FROM run_events WHERE run_id = :id AND type = 'progress'", id=parent)
    assert len(progress) < SIZE, "progress is told once in a while"

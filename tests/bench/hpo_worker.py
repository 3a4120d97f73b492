"""The coordinator, with the kinds of the benchmarks."""

from shared.queue.app import CAMPAIGNS_QUEUE
from shared.queue.worker import run_worker
from tests.bench import kinds as _kinds  # noqa: F401 - registers them

if __name__ == "__main__":
    run_worker("hpo", ["services.hpo.tasks"], steps=[CAMPAIGNS_QUEUE])

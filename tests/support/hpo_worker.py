"""The coordinator, with the kinds of the tests."""

from shared.queue.app import CAMPAIGNS_QUEUE
from shared.queue.worker import run_worker
from tests.support import seeking as _seeking  # noqa: F401 - registers kinds

if __name__ == "__main__":
    run_worker("hpo", ["services.hpo.tasks"], steps=[CAMPAIGNS_QUEUE])

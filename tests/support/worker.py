"""Entry of the tests' worker."""

from shared.queue.app import STEPS_QUEUE
from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("test", ["tests.support.tasks"], steps=[STEPS_QUEUE])

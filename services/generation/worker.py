"""Entry of a generation worker: `python -m services.generation.worker`. It also takes the short internal steps."""

from shared.queue.app import STEPS_QUEUE
from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("generation", ["services.generation.tasks"], steps=[STEPS_QUEUE])

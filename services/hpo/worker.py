"""Entry of the campaign coordinator: `python -m services.hpo.worker`. Any number may run."""

from shared.queue.app import CAMPAIGNS_QUEUE
from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("hpo", ["services.hpo.tasks"], steps=[CAMPAIGNS_QUEUE])

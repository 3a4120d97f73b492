"""Entry of a training worker: `python -m services.training.worker`. Torch is imported by its trainers, never here."""

from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("training", ["services.training.tasks"])

"""Entry of the tests' worker."""

from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("test", ["tests.support.tasks"], steps=True)

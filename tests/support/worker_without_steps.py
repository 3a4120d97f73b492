"""The tests' worker, but nobody cleans up behind it: what is left over stays for the collector to find."""

from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("test", ["tests.support.tasks"])

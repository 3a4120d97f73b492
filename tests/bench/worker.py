"""Entry of the benchmarks' worker."""

from shared.queue.worker import run_worker

if __name__ == "__main__":
    run_worker("bench", ["tests.bench.kinds"])

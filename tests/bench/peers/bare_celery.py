"""Celery as it comes, with the setting that a task must not be lost by: late ack, one at a time, results kept."""

import os
import time

from celery import Celery

app = Celery("bare", broker=os.environ["BENCH_BROKER_URL"], backend=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_default_queue="bare",
    broker_connection_retry_on_startup=True,
)


@app.task(name="bare.noop")
def noop(_number: int) -> int:
    """When it began."""
    return time.monotonic_ns()

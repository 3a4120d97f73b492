"""The tests' own service."""

from shared.queue import run_task
from tests.support import bodies, publishing, wild

run_task("test.inline", f"{bodies.__name__}:count", mode="inline")
run_task("test.supervised", f"{bodies.__name__}:count", mode="supervised")
run_task("test.brief", f"{bodies.__name__}:count", mode="supervised")
run_task("test.wild", f"{wild.__name__}:wild", mode="supervised")
run_task("test.publish.inline", f"{publishing.__name__}:publish", mode="inline")
run_task("test.publish.supervised", f"{publishing.__name__}:publish", mode="supervised")

"""The tests' own service."""

from shared.queue import run_task
from tests.support import bodies, publishing, seeking, wild

run_task("test.inline", f"{bodies.__name__}:count", mode="inline")
run_task("test.supervised", f"{bodies.__name__}:count", mode="supervised")
run_task("test.brief", f"{bodies.__name__}:count", mode="supervised")
run_task("test.wild", f"{wild.__name__}:wild", mode="supervised")
run_task("test.seek", f"{seeking.__name__}:seek", mode="inline")
run_task("test.seek.supervised", f"{seeking.__name__}:seek", mode="supervised")
run_task("test.publish.inline", f"{publishing.__name__}:publish", mode="inline")
run_task("test.publish.supervised", f"{publishing.__name__}:publish", mode="supervised")

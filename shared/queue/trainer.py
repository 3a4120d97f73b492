"""The process of one supervised body. It reads its job and then orders from standard input, writes messages to the
pipe it was given, logs to standard error, and dies at once when its supervisor does: the end of standard input.
"""

import ctypes
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from shared.artifacts import ArtifactStore, Stored
from shared.observability.logs import bound_ids, setup_logging
from shared.observability.tracing import span, start_tracing
from shared.queue import wire
from shared.queue.bodies import call_body
from shared.queue.registry import resolve
from shared.runs.reporter import RunReporter
from shared.settings import S3

_FLUSH_S = 0.1
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process when the thread that started it ends. Linux only; elsewhere the pipe does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _obey(orders: BinaryIO, reporter: RunReporter) -> None:
    """Pass orders to the body; at the end of the pipe the whole group dies, the trainer's own children too."""
    for line in orders:
        reporter.request_stop(orjson.loads(line)["stop"])
    os.killpg(0, signal.SIGKILL)


class _Courier(threading.Thread):
    """Sends news to the supervisor, ten times a second at most."""

    def __init__(self, messages: BinaryIO, reporter: RunReporter) -> None:
        super().__init__(name="courier", daemon=True)
        self._messages = messages
        self._reporter = reporter
        self._over = threading.Event()

    def run(self) -> None:
        """Until told to end; then once more."""
        while not self._over.wait(_FLUSH_S):
            self._send()

    def end(self) -> None:
        """Send what is left."""
        self._over.set()
        self.join()
        self._send()

    def _send(self) -> None:
        if news := self._reporter.take():
            self._messages.write(wire.pack_news(news))
            self._messages.flush()


def run_job(job: dict[str, Any], orders: BinaryIO, messages: BinaryIO) -> None:
    """Carry out one job."""
    setup_logging(job["service"], job["log_level"])
    start_tracing(job["service"])
    reporter = RunReporter(job["attempt"])
    threading.Thread(target=_obey, args=(orders, reporter), name="orders", daemon=True).start()
    function = resolve(job["target"])
    courier = _Courier(messages, reporter)
    courier.start()
    ids = {"run_id": job["run_id"], "attempt": job["attempt"], "task_id": job["task_id"]}
    with bound_ids(**ids), span(f"body {job['kind']}", traceparent=job["row"]["traceparent"], run_id=job["run_id"]):
        outcome = call_body(
            function,
            job["kind"],
            job["row"],
            reporter,
            ArtifactStore(job["store_url"], S3(**job["s3"])),
            job["prefix"],
            Path(job["workdir"]),
            Stored(**job["checkpoint"]) if job["checkpoint"] else None,
        )
    courier.end()
    messages.write(wire.pack_outcome(outcome))
    messages.close()


def run_to_exit(orders: BinaryIO, messages: BinaryIO) -> NoReturn:
    """Carry out the job that stands in the first line of `orders` and end the process.

    Not by returning: the thread that reads orders would keep the interpreter from shutting down in order.
    """
    status = 1
    try:
        run_job(orjson.loads(orders.readline()), orders, messages)
        status = 0
    except BaseException:  # noqa: BLE001 - the end of this process: its supervisor sees the status, the log the cause
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Entry of a spawned trainer: `python -m shared.queue.trainer <message fd>`."""
    run_to_exit(os.fdopen(0, "rb"), os.fdopen(int(sys.argv[1]), "wb"))


if __name__ == "__main__":
    main()

"""Runs a body in a process of its own and watches it: takes its news and its log, passes on orders, kills the whole
group in the end. Knows no SQL; the keeper beside it does the talking.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import orjson
import structlog

from shared.artifacts import Stored
from shared.contracts.base import storable
from shared.contracts.causes import Cause
from shared.queue import wire
from shared.queue.memory import MemoryWatch
from shared.queue.outcome import Claimed, Crashed, Outcome, Stopped
from shared.queue.registry import RunBody
from shared.queue.runtime import Runtime
from shared.queue.trainers import Trainer
from shared.runs.reporter import RunReporter, StopReason
from shared.runs.runlog import RunLog

_log = structlog.get_logger(__name__)
_WAIT_S = 0.1
#: A body that prints without a line end fills no memory.
_LINE_BYTES = 65_536
_SAID = 200
#: Read at a time, so that an endless log does not keep the orders waiting.
_BLOCKS = 16


def supervise(
    runtime: Runtime,
    claimed: Claimed,
    body: RunBody,
    reporter: RunReporter,
    log: RunLog,
    checkpoint: Stored | None,
    workdir: Path,
    on_start: Callable[[Callable[[], None]], None],
) -> Outcome:
    """Run the body of `claimed` in a trainer. `on_start` receives the function that kills it."""
    memory = MemoryWatch()
    trainer = runtime.trainers.new()
    on_start(trainer.kill)
    job = {
        "target": body.target,
        "service": runtime.service,
        "log_level": runtime.settings.log_level,
        "kind": claimed.kind,
        "run_id": str(claimed.run_id),
        "attempt": claimed.attempt,
        "task_id": claimed.task_id,
        "row": {key: claimed.row[key] for key in ("spec", "spec_version", "inputs", "traceparent")},
        "store_url": runtime.settings.artifact_store_url,
        "s3": runtime.settings.s3.plain(),
        "prefix": claimed.prefix,
        "workdir": str(workdir),
        "checkpoint": asdict(checkpoint) if checkpoint else None,
    }
    _log.info("trainer started", trainer_pid=trainer.pid)
    watch = _Watch(trainer, claimed, reporter, log)
    try:
        with suppress(BrokenPipeError):
            _write_all(trainer.orders, wire.pack(job))
        watch.until_the_end(runtime.settings.cancel_grace_s)
    finally:
        status = trainer.close()
    _log.info("trainer ended", trainer_pid=trainer.pid, status=status)
    return watch.outcome or unexplained(status, reporter.stop_reason, memory.killed(), watch.last_line)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def unexplained(status: int, stop_reason: StopReason | None, out_of_memory: bool, last_line: str) -> Outcome:
    """The process ended without a last message: because we killed it, or because something else did."""
    if stop_reason is not None:
        return Stopped(stop_reason)
    if status == -signal.SIGKILL and out_of_memory:
        return Crashed("the kernel killed its process because there was no memory left (SIGKILL)", Cause.OUT_OF_MEMORY)
    if status < 0:
        return Crashed(f"its process was killed by {_name(-status)} (signal {-status})", Cause.KILLED_BY_SIGNAL)
    said = f" after saying: {last_line}" if last_line else ""
    return Crashed(f"its process exited with {status}{said}", Cause.BUG)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "an unnamed signal"


class _Watch:
    """The three descriptors of a trainer, read as they speak."""

    def __init__(self, trainer: Trainer, claimed: Claimed, reporter: RunReporter, log: RunLog) -> None:
        self.outcome: Outcome | None = None
        self.last_line = ""  #: printed, not logged: the end of a traceback, if it came to that
        self._trainer = trainer
        self._ids = {"run_id": str(claimed.run_id), "attempt": claimed.attempt, "task_id": claimed.task_id}
        self._reporter = reporter
        self._log = log
        self._rest = {trainer.messages: b"", trainer.log: b""}
        self._ordered = False
        self._done_s: float | None = None

    def until_the_end(self, linger_s: float) -> None:
        """Return when the process has ended and everything it said is read."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._trainer.messages, self._trainer.log, self._trainer.pidfd):
                selector.register(descriptor, selectors.EVENT_READ)
            alive = True
            while alive:
                for key, _events in selector.select(_WAIT_S):
                    if key.fd == self._trainer.pidfd:
                        alive = False
                    elif not self._drain(key.fd):
                        selector.unregister(key.fd)
                self._order()
                if self._done_s is not None and time.monotonic() - self._done_s > linger_s:
                    self._trainer.kill()
        self._trainer.kill()
        for descriptor in (self._trainer.messages, self._trainer.log):
            while self._read(descriptor):
                continue
        self._line(self._trainer.log, self._rest[self._trainer.log])

    def _order(self) -> None:
        if self._reporter.stop_reason is not None and not self._ordered:
            self._ordered = True
            with suppress(BrokenPipeError):
                _write_all(self._trainer.orders, wire.pack({"stop": self._reporter.stop_reason}))

    def _drain(self, descriptor: int) -> bool:
        """Read what is there, but not for ever. False at the end of the pipe."""
        for _block in range(_BLOCKS):
            if (more := self._read(descriptor)) is not True:
                return more is None
        return True

    def _read(self, descriptor: int) -> bool | None:
        """Read one block, line by line. False at the end of the pipe, None if there is nothing now."""
        try:
            block = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return None
        if not block:
            return False
        *lines, rest = (self._rest[descriptor] + block).split(b"\n")
        for line in lines:
            self._line(descriptor, line)
        if descriptor == self._trainer.log and len(rest) > _LINE_BYTES:
            self._line(descriptor, rest)
            rest = b""
        self._rest[descriptor] = rest
        return True

    def _line(self, descriptor: int, line: bytes) -> None:
        if not line:
            return
        if descriptor == self._trainer.log:
            self._log.write(line if line.startswith(b"{") else self._wrapped(line))
            return
        message = orjson.loads(line)
        if "outcome" in message:
            self.outcome = wire.unpack_outcome(message)
            self._done_s = time.monotonic()
        else:
            self._reporter.feed(wire.unpack_news(message))

    def _wrapped(self, line: bytes) -> bytes:
        """What a library printed, as a log line with ids."""
        text = line[:_LINE_BYTES].decode("utf-8", "replace")
        self.last_line = storable(text.strip()[:_SAID]) or self.last_line
        return orjson.dumps({"event": text, "level": "info", "logger": "output", **self._ids, "trace_id": None})

"""Two ways to get a trainer process: spawn a fresh interpreter, or fork from one that has the imports done."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from shared.errors import Retryable
from shared.queue.registry import RUN_BODIES

_ROOT = Path(__file__).resolve().parents[2]
#: A body has no business with the database or the broker, and its counts are not the worker's.
_WITHHELD = ("FAULTLINE_DATABASE", "FAULTLINE_BOOTSTRAP", "CELERY_", "PROMETHEUS_MULTIPROC_DIR")
_START_S = 120.0  #: importing torch on a busy machine


@dataclass
class Trainer:
    """A running trainer: its process and our ends of its three pipes."""

    pid: int
    pidfd: int  #: readable once the process has ended
    orders: int
    messages: int
    log: int
    ended: "Ended"
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _closed: bool = False

    def kill(self) -> None:
        """End the process and everything it started. Does nothing once it is closed.

        A forked trainer has no group for a moment: then it has started nothing yet, and is killed by itself.
        """
        with self._lock:
            if self._closed:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> int:
        """After the end: free the descriptors and return the exit status (negative: the signal)."""
        self.kill()
        status = self.ended.status(self.pid)
        with self._lock:
            self._closed = True
        for descriptor in (self.pidfd, self.orders, self.messages, self.log):
            with suppress(OSError):
                os.close(descriptor)
        return status


class Ended(Protocol):
    """Knows how a trainer ended."""

    def status(self, pid: int, /) -> int:
        """Exit status; waits for it."""


@dataclass
class _Pipes:
    orders: tuple[int, int]
    messages: tuple[int, int]
    log: tuple[int, int]

    @classmethod
    def open(cls) -> "_Pipes":
        return cls(os.pipe(), os.pipe(), os.pipe())

    def close(self) -> None:
        for descriptor in (*self.orders, *self.messages, *self.log):
            os.close(descriptor)

    def theirs(self) -> list[int]:
        return [self.orders[0], self.log[1], self.messages[1]]

    def trainer(self, pid: int, ended: Ended) -> Trainer:
        for descriptor in self.theirs():
            os.close(descriptor)
        for descriptor in (self.messages[0], self.log[0]):
            os.set_blocking(descriptor, False)
        return Trainer(pid, os.pidfd_open(pid), self.orders[1], self.messages[0], self.log[0], ended)


def _environment() -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])
    own = {name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)}
    return {**own, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@dataclass
class _Spawned:
    process: "subprocess.Popen[bytes]"

    def status(self, _pid: int) -> int:
        """See `Ended`."""
        return self.process.wait()


def spawn_trainer() -> Trainer:
    """A fresh interpreter in a session of its own."""
    pipes = _Pipes.open()
    orders, log, messages = pipes.theirs()
    process = subprocess.Popen(
        [sys.executable, "-m", "shared.queue.trainer", str(messages)],
        stdin=orders,
        stdout=log,
        stderr=log,
        pass_fds=[messages],
        start_new_session=True,
        env=_environment(),
    )
    return pipes.trainer(process.pid, _Spawned(process))


class ForkServer:
    """Our end of a fork server with the imports of `modules`; one per worker process."""

    def __init__(self, modules: list[str]) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shared.queue.forkserver", str(theirs.fileno()), str(os.getpid()), *modules],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=_environment(),
        )
        theirs.close()
        ours.settimeout(_START_S)
        self._socket = ours
        self._reader = ours.makefile("rb")
        self._exits: dict[int, int] = {}
        self._ready = False

    def start(self) -> Trainer:
        """Fork a trainer, once the imports are done. Raises `Retryable` if the server has died."""
        if not self._ready:
            self._read()
            self._ready = True
        pipes = _Pipes.open()
        try:
            socket.send_fds(self._socket, [b"f"], pipes.theirs())
            while "status" in (answer := self._read()):
                self._exits[answer["pid"]] = answer["status"]
        except (Retryable, OSError) as error:
            pipes.close()
            raise Retryable("the fork server has ended") from error
        return pipes.trainer(answer["pid"], self)

    def close(self) -> None:
        """End the server; no trainer may be running."""
        self.process.kill()
        self._reader.close()
        self._socket.close()
        self.process.wait()

    def status(self, pid: int) -> int:
        """See `Ended`. Of a server that has died nobody knows it; what the trainer said counts all the same."""
        try:
            while pid not in self._exits:
                answer = self._read()
                self._exits[answer["pid"]] = answer["status"]
        except (Retryable, OSError):
            self.process.kill()
            return 1
        return self._exits.pop(pid)

    def _read(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            raise Retryable("the fork server has ended")
        answer: dict[str, Any] = orjson.loads(line)
        return answer


class Trainers:
    """Where this process gets its trainers from."""

    def __init__(self, start: Literal["spawn", "forkserver"]) -> None:
        self._start = start
        self._server: ForkServer | None = None

    def get_ready(self) -> None:
        """Begin with the imports, so that the first run need not wait for them."""
        modules = sorted({body.module for body in RUN_BODIES.values() if body.mode == "supervised"})
        if self._start == "forkserver" and modules:
            self._server = ForkServer(modules)

    def close(self) -> None:
        """Let go of what is kept ready."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def new(self) -> Trainer:
        """A trainer that waits for its job. Raises `OSError` if none can be had."""
        if self._start == "spawn":
            return spawn_trainer()
        for _try in range(2):
            if self._server is None or self._server.process.poll() is not None:
                self.close()
                self.get_ready()
            try:
                if self._server is not None:
                    return self._server.start()
            except (Retryable, OSError):
                self.close()
        raise OSError("the fork server does not stay up")

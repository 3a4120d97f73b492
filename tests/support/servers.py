"""Engines that a test may stop, kill, freeze and start again on the same folder."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import redis

from services.cli.stack.engines import Engine
from services.cli.stack.processes import exited, spawn, stop
from tests.support.platform import until

_START_S = 60.0
_STOP_S = 20.0


class Server:
    """One engine, running or not."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.engine.socket

    @property
    def pid(self) -> int:
        """Of the running process."""
        if self._process is None:
            raise RuntimeError(f"{self.engine.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it serves."""
        lock = self.engine.prepare()
        process = self._process = spawn(replace(self.engine.start, pass_fds=(lock,)), self._output)
        os.close(lock)

        def serves() -> bool:
            if exited(process.pid):
                self._output.seek(0)
                raise RuntimeError(f"{self.engine.name} did not start: {self._output.read().decode()[-2000:]}")
            return self.engine.ready()

        until(serves, _START_S, f"{self.engine.name} does not start")

    def stop(self) -> None:
        """An orderly end."""
        if self._process is not None:
            stop(self._process, self.engine.stop_signal, _STOP_S)
            self._process = None

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """It keeps its connections and says nothing more."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """For good."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self.thaw()
        self.stop()
        self.engine.socket.unlink(missing_ok=True)
        with suppress(OSError):
            self.engine.socket.parent.rmdir()
        self._output.close()

    def redis(self) -> redis.Redis:
        """A client of it, if it is a broker."""
        return redis.Redis(unix_socket_path=str(self.socket))


@contextmanager
def serving(engine: Engine) -> Iterator[Server]:
    """A server for the length of a `with` block."""
    server = Server(engine)
    try:
        server.start()
        yield server
    finally:
        server.close()

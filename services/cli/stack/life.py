"""One part while the stack runs: its process, its state, its restarts. Driven by `supervisor.py`."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.cli.stack.parts import Part
from services.cli.stack.probes import metrics_url
from services.cli.stack.processes import birth, exited, kill_group, reap, spawn
from services.cli.stack.state import PartState, rotate

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 10.0
#: a part that lived for so long is healthy again: the next restart is quick
_HEALTHY_S = 30.0
_PROBE_EVERY_S = 0.05


@dataclass
class Life:
    """A part and what became of it so far."""

    part: Part
    log: Path
    state: str = "waiting"
    process: "subprocess.Popen[bytes] | None" = None
    born: str | None = None
    restarts: int = 0
    started_at: float | None = None  #: wall clock
    began: float = 0.0  #: monotonic
    not_before: float = 0.0  #: monotonic
    delay_s: float = _FIRST_DELAY_S
    port: int = 0
    stop_deadline: float | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self.process.pid if self.process else None

    @property
    def settled(self) -> bool:
        """Whether parts that come after it may start."""
        return self.state in {"ready", "done"}

    def start(self, report_ready: Callable[[int], None]) -> None:
        """Start its process. `report_ready(pid)` is called from a thread once the part serves."""
        rotate(self.log)
        handed = self.part.prepare() if self.part.prepare else None
        try:
            start = self.part.start
            if self.part.metrics:
                self.port = _free_port()
                start = replace(start, env={**start.env, "FAULTLINE_METRICS_PORT": str(self.port)})
            if handed is not None:
                start = replace(start, pass_fds=(*start.pass_fds, handed))
            with self.log.open("ab") as output:
                self.process = spawn(start, output)
        finally:
            if handed is not None:
                os.close(handed)
        self.born = birth(self.process.pid)
        self.state, self.started_at, self.began = "starting", time.time(), time.monotonic()
        self._over = threading.Event()
        if not self.part.once:
            arguments = (self.process.pid, self._over, report_ready)
            threading.Thread(target=self._probe, args=arguments, daemon=True).start()

    def _probe(self, pid: int, over: threading.Event, report_ready: Callable[[int], None]) -> None:
        while not over.is_set():
            if self.part.probe(self.port):
                report_ready(pid)
                return
            over.wait(_PROBE_EVERY_S)

    def ended(self) -> int | None:
        """Exit code if its process has just ended, else None."""
        if self.process is None or not exited(self.process.pid):
            return None
        code = reap(self.process)
        self._over.set()
        self.process = self.born = None
        return code

    def back_off(self) -> float:
        """Plan the next start; seconds until then."""
        if time.monotonic() - self.began > _HEALTHY_S:
            self.delay_s = _FIRST_DELAY_S
        wait_s, self.delay_s = self.delay_s, min(2 * self.delay_s, _LONGEST_DELAY_S)
        self.state, self.restarts, self.not_before = "backoff", self.restarts + 1, time.monotonic() + wait_s
        return wait_s

    def ask_to_stop(self) -> None:
        """Send the signal that it stops on, once."""
        self._over.set()
        if self.process is not None and self.stop_deadline is None:
            self.state, self.stop_deadline = "stopping", time.monotonic() + self.part.grace_s
            os.kill(self.process.pid, self.part.stop_signal)

    def kill(self) -> None:
        """End it and all that it started."""
        if self.process is not None:
            kill_group(self.process.pid, signal.SIGKILL)

    def written(self) -> PartState:
        """As it is written down."""
        url = metrics_url(self.port) if self.port else None
        name, started = self.part.name, self.started_at
        return PartState(name, self.state, self.pid, self.born, self.restarts, started, str(self.log), url)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

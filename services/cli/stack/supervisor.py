"""Keeps the parts of a stack running: starts them in order, restarts what crashes, stops them in reverse.

One thread does it all and sleeps until a child ends, a signal comes, a probe succeeds or a restart is due. Children
die with that thread (see `launch.py`), so it must be the main one.
"""

import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType

from services.cli.stack.events import Event, Tell
from services.cli.stack.life import Life
from services.cli.stack.parts import Part
from services.cli.stack.processes import birth
from services.cli.stack.state import StackState, StateFolder, tail
from shared.errors import FaultlineError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_SLEEP_S = 5.0


class StartFailed(FaultlineError):
    """A part of the stack could not be started."""

    exit_code = 1


class Supervisor:
    """One run of one stack."""

    def __init__(
        self, parts: Sequence[Part], folder: StateFolder, url: str, tell: Tell, *, start_timeout_s: float = 120.0
    ) -> None:
        self.folder = folder
        self.url = url
        self.tell = tell
        self.start_timeout_s = start_timeout_s
        self.lives = {part.name: Life(part, folder.log(part.name.replace(" ", "-"))) for part in parts}
        self.up = False
        self.stops_asked = 0
        self.started_at = time.time()
        self.began = time.monotonic()
        self._ready: SimpleQueue[tuple[str, int, float]] = SimpleQueue()
        self._wake_in, self._wake_out = -1, -1

    def run(self) -> None:
        """Run until a signal asks to stop. Raises `StartFailed`; in every case all parts are stopped at the end."""
        with self._signals():
            self._write()
            try:
                while not self.stops_asked:
                    self._start_due()
                    self._collect()
                    self._look_at_start()
                    self._sleep()
            finally:
                self._stop()

    def _start_due(self) -> None:
        for life in self.lives.values():
            again = life.state == "backoff" and time.monotonic() >= life.not_before
            if (again or self._may(life)) and not self.stops_asked:
                self._start(life)

    def _start(self, life: Life) -> None:
        try:
            life.start(partial(self._report_ready, life.part.name))
        except (FaultlineError, OSError) as error:
            if not self.up:
                raise StartFailed(f"{life.part.name}: {error}", remedy=getattr(error, "remedy", None)) from error
            self.tell(Event("died", life.part.name, life.back_off(), str(error)))
        self._write()

    def _report_ready(self, name: str, pid: int) -> None:
        self._ready.put((name, pid, time.monotonic()))
        with suppress(OSError):  # nobody listens any more
            os.write(self._wake_in, b"r")

    def _collect(self) -> None:
        """Take note of what ended and of what became ready."""
        for life in self.lives.values():
            code = life.ended()
            if code is not None:
                self._note_end(life, code)
        with suppress(Empty):
            while True:
                name, pid, at = self._ready.get_nowait()
                life = self.lives[name]
                if life.pid == pid and life.state == "starting":
                    self._note_ready(life, "ready", at)

    def _note_ready(self, life: Life, state: str, at: float) -> None:
        life.state = state
        self._write()
        self.tell(Event("ready", life.part.name, at - life.began))

    def _note_end(self, life: Life, code: int) -> None:
        if life.part.once and code == 0:
            self._note_ready(life, "done", time.monotonic())
        elif self.stops_asked:
            life.state = "stopped"
        elif not self.up:
            life.state = "failed"
            raise _failure(life, f"{life.part.name} ended with {_code(code)} while it started.")
        else:
            wait_s = life.back_off()
            self._write()
            self.tell(Event("died", life.part.name, wait_s, f"ended with {_code(code)}"))

    def _look_at_start(self) -> None:
        if self.up or self.stops_asked:
            return
        if all(life.settled for life in self.lives.values()):
            self.up = True
            self._write()
            self.tell(Event("up", seconds=time.monotonic() - self.began, text=self.url))
            return
        for life in self.lives.values():
            if life.state == "starting" and time.monotonic() - life.began > self.start_timeout_s:
                raise _failure(life, f"{life.part.name} was not ready within {self.start_timeout_s:.0f} s.")

    def _sleep(self, limit_s: float = _LONGEST_SLEEP_S) -> None:
        now = time.monotonic()
        due = [life.not_before - now for life in self.lives.values() if life.state == "backoff"]
        due += [life.stop_deadline - now for life in self.lives.values() if life.process and life.stop_deadline]
        if self.stops_asked or not any(self._may(life) for life in self.lives.values()):
            select.select([self._wake_out], [], [], max(0.0, min([limit_s, *due])))
        with suppress(BlockingIOError):
            while os.read(self._wake_out, 4096):
                pass

    def _may(self, life: Life) -> bool:
        """Whether it may start for the first time."""
        return life.state == "waiting" and all(self.lives[other].settled for other in life.part.after)

    def _stop(self) -> None:
        """Stop everything: first what nothing depends on any more. A second request to stop kills."""
        asked = max(self.stops_asked, 1)
        self.stops_asked = asked
        self.tell(Event("stopping"))
        while any(life.process for life in self.lives.values()):
            for life in self.lives.values():
                if life.process and not self._needed(life.part.name):
                    life.ask_to_stop()
                late = life.stop_deadline is not None and time.monotonic() >= life.stop_deadline
                if life.process and (late or self.stops_asked > asked):
                    life.kill()
            self._write()
            self._sleep()
            for life in self.lives.values():
                if life.ended() is not None:
                    life.state = "stopped"
                    self.tell(Event("stopped", life.part.name))
        for life in self.lives.values():
            life.state = "stopped"
        self._write()
        self.tell(Event("stopped"))

    def _needed(self, name: str) -> bool:
        return any(life.process and name in life.part.after for life in self.lives.values())

    def _write(self) -> None:
        parts = [life.written() for life in self.lives.values()]
        self.folder.write(StackState(os.getpid(), birth(os.getpid()), self.url, self.started_at, self.up, parts))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals only wake the loop and are counted."""
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)

        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stops_asked += 1

        before = {number: signal.signal(number, ask) for number in _STOP_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        wakeup = signal.set_wakeup_fd(self._wake_in, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake_out)  # the other end stays open: a probe's thread may still write to it


def _code(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _failure(life: Life, what: str) -> StartFailed:
    said = tail(life.log)
    text = f"{what}\n{said}" if said else f"{what} It said nothing."
    return StartFailed(text, remedy=f"Correct what its log says ({life.log}), then run `faultline up` again.")

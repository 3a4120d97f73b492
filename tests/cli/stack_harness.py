"""A stack of small stand-in parts: `python -m tests.cli.stack_harness PARTS.json`, events as JSON lines on stdout.

Each part is `{"name": ..., "code": <Python>, "after": [...], "once": ..., "grace_s": ..., "http": ...,
"ready": <file that shows it>}`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from services.cli.stack import serve
from services.cli.stack.events import Event, from_line
from services.cli.stack.folders import socket_folder
from services.cli.stack.parts import MARK, Part, Plan
from services.cli.stack.probes import serves, survives
from services.cli.stack.processes import Start
from services.cli.stack.state import StackState, StateFolder

ROOT = Path(__file__).parents[2]
#: lives until it is asked to stop
SLEEPER = "import signal; signal.pause()"


def compose(folder: StateFolder, sockets: Path, environment: Mapping[str, str], api_fd: int, url: str) -> Plan:
    parts = []
    for spec in json.loads(Path(sys.argv[1]).read_text()):
        env = {**environment, MARK: str(folder.path), "API_FD": str(api_fd), "SOCKETS": str(sockets)}
        start = Start([sys.executable, "-I", "-S", "-c", spec["code"]], env, folder.path, pass_fds=(api_fd,))
        probe = serves(f"{url}/readyz") if spec.get("http") else survives(0)
        if "ready" in spec:
            probe = partial(_exists, folder.path / spec["ready"])
        after, once, grace_s = tuple(spec.get("after", ())), spec.get("once", False), spec.get("grace_s", 10.0)
        parts.append(Part(spec["name"], start, after, once=once, probe=probe, grace_s=grace_s))
    return Plan(parts, url, folder.api_key(environment))


def _exists(path: Path, _port: int) -> bool:
    return path.exists()


@dataclass
class Stack:
    """A running harness, seen by a test."""

    process: "subprocess.Popen[str]"
    folder: StateFolder
    seen: list[Event] = field(default_factory=list)

    def wait(self, kind: str, part: str = "") -> Event:
        """Read on to that event."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = from_line(line)
            assert event is not None, line
            self.seen.append(event)
            if event.kind == kind and (not part or event.part == part):
                return event
        raise AssertionError(f"ended without {kind} {part}: {self.seen}")

    def state(self) -> StackState:
        state = self.folder.read()
        assert state is not None
        return state

    def pid(self, part: str) -> int:
        found = next(item.pid for item in self.state().parts if item.name == part)
        assert found is not None
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def stack(state_dir: Path, *parts: dict[str, Any]) -> Iterator[Stack]:
    """A harness with these parts; its state folder is made if absent. Killed at the end if it still runs."""
    state_dir.mkdir(parents=True, exist_ok=True)
    specification = state_dir / "parts.json"
    specification.write_text(json.dumps(parts))
    environment = {**os.environ, "FAULTLINE_STATE_DIR": str(state_dir)}
    argv = [sys.executable, "-m", "tests.cli.stack_harness", str(specification)]
    process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield Stack(process, StateFolder(state_dir))
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(socket_folder(state_dir), ignore_errors=True)


def await_true(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """For states of other processes that tell nobody."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(serve.run(os.environ, None, compose))

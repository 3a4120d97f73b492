"""Child processes that never outlive their owner, and the identity of a process across time (pid + start)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from services.cli.stack import launch

#: seconds between two looks at a process that is no child of ours, so that nothing wakes us
_LOOK_S = 0.02


@dataclass(frozen=True)
class As:
    """Under which user a program runs. `reach`: keep the power to walk through folders closed to that user."""

    uid: int | None = None
    gid: int = 0
    reach: bool = False


@dataclass(frozen=True)
class Start:
    """Everything that starts one process."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    user: As = field(default_factory=As)
    death_signal: signal.Signals = signal.SIGKILL
    pass_fds: Iterable[int] = ()


def spawn(start: Start, output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
    """Start it in a session of its own. It dies with the calling thread: call this from the main thread."""
    return subprocess.Popen(
        wrapped(start),
        env=dict(start.env),
        cwd=start.cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(start.pass_fds),
    )


def wrapped(start: Start) -> list[str]:
    """The command line that becomes `start.argv` and dies with this process."""
    who = "-" if start.user.uid is None else f"{start.user.uid}:{start.user.gid}"
    head = [sys.executable, "-I", "-S", str(Path(launch.__file__))]
    return [*head, str(os.getpid()), str(int(start.death_signal)), who, str(int(start.user.reach)), *start.argv]


def exited(pid: int) -> bool:
    """Whether our child has ended. It stays a zombie, so its number is not given away yet."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(process: "subprocess.Popen[bytes]") -> int:
    """Exit code of a child that ended; what it left in its group is killed while the number is still its own."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    kill_group(process.pid)
    return process.wait()


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal every process of the group that `pid` leads, if there is any."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def stop(process: "subprocess.Popen[bytes]", number: signal.Signals, grace_s: float) -> int:
    """Ask, wait, kill. Returns the exit code."""
    if process.returncode is not None:
        return process.returncode
    os.kill(process.pid, number)  # not send_signal(), which reaps
    deadline = time.monotonic() + grace_s
    while not exited(process.pid) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    kill_group(process.pid)
    return reap(process)


def birth(pid: int) -> str | None:
    """When that process began, in words that no later process with the same number shares; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _portable_birth(pid)
    state, *_, ticks = text.rpartition(")")[2].split()[:20]
    return None if state in "ZX" else f"{boot}:{ticks}"


def _portable_birth(pid: int) -> str | None:
    if Path("/proc/self").exists():
        return None
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def alive(pid: int, born: str) -> bool:
    """Whether that very process still runs; another one that got its number does not count."""
    return birth(pid) == born


def wait_gone(pid: int, born: str, timeout_s: float) -> bool:
    """Wait for the end of a process that is no child of ours."""
    deadline = time.monotonic() + timeout_s
    while alive(pid, born):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_S)
    return True

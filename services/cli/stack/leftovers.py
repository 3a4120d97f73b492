"""Ends what a supervisor left that was killed itself. Called by whoever holds the state folder's lock, so no
supervisor of this stack lives.

A process is ours if it has the pid *and* the birth that were written down, or the stack's mark in its environment;
a number that was given to somebody else since is left alone.
"""

import os
import signal
import time

import psutil

from services.cli.stack.parts import MARK
from services.cli.stack.processes import alive, birth, kill_group, wait_gone
from services.cli.stack.state import StateFolder

#: parts die with their supervisor, the database by an orderly stop: give them the time
_PATIENCE_S = 5.0
_KILL_TIMEOUT_S = 10.0


def kill_leftovers(folder: StateFolder) -> list[int]:
    """Wait for, then kill, what still runs. Returns the pids that had to be killed."""
    deadline = time.monotonic() + _PATIENCE_S
    for pid, born in _written(folder).items():
        wait_gone(pid, born, max(0.0, deadline - time.monotonic()))
    killed = []
    for pid, born in (_written(folder) | _marked(folder)).items():
        _kill(pid)
        wait_gone(pid, born, _KILL_TIMEOUT_S)
        killed.append(pid)
    return killed


def _written(folder: StateFolder) -> dict[int, str]:
    state = folder.read()
    parts = state.parts if state else []
    return {part.pid: part.born for part in parts if part.pid and part.born and alive(part.pid, part.born)}


def _marked(folder: StateFolder) -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        try:
            ours = process.pid != os.getpid() and process.environ().get(MARK) == str(folder.path)
        except psutil.Error:
            continue
        born = birth(process.pid) if ours else None
        if born:
            found[process.pid] = born
    return found


def _kill(pid: int) -> None:
    """Kill it, and the session if it leads one."""
    try:
        if os.getsid(pid) == pid:
            kill_group(pid)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

"""From another process: start a stack that stays, ask how it is, stop it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

from services.cli.stack.events import Event, Tell, from_line
from services.cli.stack.folders import socket_folder
from services.cli.stack.leftovers import kill_leftovers
from services.cli.stack.processes import alive, wait_gone
from services.cli.stack.serve import AlreadyRunning
from services.cli.stack.state import ROOT, PartState, StackState, StateFolder, rotate, tail
from services.cli.stack.supervisor import StartFailed

#: the longest grace of a part, its dependents' before it, and a little
_STOP_TIMEOUT_S = 75.0
_LOOK_S = 0.05


@dataclass(frozen=True)
class PartReport:
    """How a part is right now."""

    name: str
    state: str
    pid: int | None
    restarts: int
    uptime_s: float | None
    rss_bytes: int | None
    log: str
    metrics_url: str | None


def detach(folder: StateFolder, port: int | None, tell: Tell) -> None:
    """Start a supervisor in a session of its own; return when the stack is up. Raises `StartFailed`."""
    folder.create()
    log = folder.log("supervisor")
    rotate(log)
    argv = [sys.executable, "-m", "services.cli.stack.serve", *([] if port is None else [str(port)])]
    environment = {**os.environ, "FAULTLINE_STATE_DIR": str(folder.path)}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    try:
        _follow(process, folder, tell)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _follow(process: "subprocess.Popen[str]", folder: StateFolder, tell: Tell) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        event = from_line(line)
        if event is None:
            continue
        if event.kind in {"failed", "refused"}:
            process.wait()
            raise (AlreadyRunning if event.kind == "refused" else StartFailed)(event.text, remedy=event.remedy)
        tell(event)
        if event.kind == "up":
            return
    code, log = process.wait(), folder.log("supervisor")
    raise StartFailed(f"The supervisor ended with {code}.\n{tail(log)}", remedy=f"Its log is {log}.")


def running(folder: StateFolder) -> StackState | None:
    """What the living supervisor wrote last; None if none lives."""
    state = folder.read()
    return state if state and state.born and alive(state.pid, state.born) else None


def report(state: StackState) -> list[PartReport]:
    """Each part as it is now: a process that has gone since it was written down is seen."""
    return [_report(part) for part in state.parts]


def _report(part: PartState) -> PartReport:
    lives = part.pid is not None and part.born is not None and alive(part.pid, part.born)
    state = part.state if lives or part.pid is None else "gone"
    uptime = time.time() - part.started_at if lives and part.started_at else None
    rss = _memory(part.pid) if lives and part.pid else None
    pid = part.pid if lives else None
    return PartReport(part.name, state, pid, part.restarts, uptime, rss, part.log, part.metrics_url)


def _memory(pid: int) -> int | None:
    """Of the process and all it started; what they share counts once."""
    own, shared = 0, 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    for member in family:
        try:
            memory = member.memory_info()
        except psutil.Error:
            continue
        part = getattr(memory, "shared", 0)  # not told on macOS
        own, shared = own + memory.rss - part, max(shared, part)
    return own + shared


def stop(folder: StateFolder, tell: Tell) -> bool:
    """Stop the stack and wait until all of it is gone. False if nothing ran."""
    if not folder.path.exists():
        return False
    asked: dict[int, str] = {}
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    lock = folder.lock()
    while lock is None:
        state = running(folder)
        if state and state.born and state.pid not in asked:
            asked[state.pid] = state.born
            tell(Event("stopping", text=f"pid {state.pid}"))
            os.kill(state.pid, signal.SIGTERM)
        if state and time.monotonic() > deadline:
            os.kill(state.pid, signal.SIGKILL)
        lock = folder.lock(timeout_s=_LOOK_S)
    try:
        for pid, born in asked.items():
            wait_gone(pid, born, _STOP_TIMEOUT_S)
        killed = kill_leftovers(folder)
        shutil.rmtree(socket_folder(folder.path), ignore_errors=True)
    finally:
        os.close(lock)
    if killed:
        tell(Event("note", text=f"ended {len(killed)} processes that a killed supervisor had left"))
    return bool(asked or killed)


def document(state: StackState | None, folder: StateFolder) -> str:
    """The stack as one line of JSON."""
    if state is None:
        return json.dumps({"running": False, "state_dir": str(folder.path)})
    known = {"running": True, "ready": state.ready, "pid": state.pid, "url": state.url, "started_at": state.started_at}
    places = {"state_dir": str(folder.path), "credentials": str(folder.path / "credentials.json")}
    return json.dumps({**known, **places, "parts": [vars(part) for part in report(state)]})

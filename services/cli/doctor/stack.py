"""The local stack: which parts run, and why it did not start if it did not."""

import os
from collections.abc import Iterator
from pathlib import Path

from services.cli.doctor.check import STACK, Check
from services.cli.stack.control import PartReport, report, running
from services.cli.stack.state import StateFolder, tail

_WELL = frozenset({"ready", "done"})
_LINES = 6


def stack_checks(folder: StateFolder, *, remote: bool) -> Iterator[Check]:
    """Its parts, or why there are none. `remote`: the API that is asked is another one, so none is needed here."""
    state = running(folder)
    if state is None:
        yield from _why_not(folder, remote=remote)
        return
    parts = report(state)
    well = [part.name for part in parts if part.state in _WELL]
    if well:
        yield STACK.ok("running", f"{len(well)} of {len(parts)} parts at {state.url}")
    for part in parts:
        if part.state not in _WELL:
            yield _ill(part)
        elif part.restarts:
            fix = f"Its log says why: {part.log}."
            yield STACK.warn(part.name, f"runs, but was restarted {part.restarts} times", fix)


def _ill(part: PartReport) -> Check:
    if part.state in {"starting", "waiting"}:
        return STACK.warn(part.name, f"is {part.state}", "Wait a moment, then ask again.")
    fix = f"Correct what its log says ({part.log}); it is restarted by itself."
    return STACK.fail(part.name, f"does not run ({part.state}, {part.restarts} restarts)", fix, _said(Path(part.log)))


def _why_not(folder: StateFolder, *, remote: bool) -> Iterator[Check]:
    failure = folder.failure()
    if failure is not None:
        what, *said = failure["text"].splitlines() or [""]
        fix = failure["remedy"] or "Correct what it says, then run `faultline up` again."
        yield STACK.fail("last start", what, fix, "\n".join(said[-_LINES:]))
    elif remote:
        yield STACK.ok("running", "no, and none is needed: the API is elsewhere")
    else:
        yield STACK.fail("running", "nothing runs here", "Start it with `faultline up`.")
    yield from _blocked(folder)


def _blocked(folder: StateFolder) -> Iterator[Check]:
    """What would keep it from starting."""
    home = folder.path if folder.path.exists() else folder.path.parent
    while not home.exists():
        home = home.parent
    if not os.access(home, os.W_OK | os.X_OK):
        fix = "Give yourself the right to write there, or set FAULTLINE_STATE_DIR to a folder of yours."
        yield STACK.fail("folder", f"{home} cannot be written", fix)
        return
    if folder.path.exists():
        lock = folder.lock()
        if lock is None:
            fix = "Run `faultline down`; it ends what is left, then start again."
            yield STACK.fail("folder", f"{folder.path} is held by a process that is no running stack", fix)
            return
        os.close(lock)
    yield STACK.ok("folder", f"{folder.path} can be used")


def _said(log: Path) -> str:
    return tail(log, _LINES)

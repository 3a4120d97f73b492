"""Consoles and words.

Text of others is shown, never obeyed: our consoles read no markup, and `safe` spells out control signs.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from shared.contracts.states import RunState

_THEME = Theme(
    {
        "quiet": "dim",
        "name": "bold",
        "key": "cyan",
        "good": "green",
        "bad": "red",
        "wait": "yellow",
        "bar.complete": "cyan",
        "bar.finished": "green",
        "bar.pulse": "cyan",
        "table.header": "dim",
    }
)
_PIPE_WIDTH = 110  #: where the width of the reader is not known

_STATE_STYLES = {
    RunState.QUEUED: "quiet",
    RunState.DISPATCHED: "quiet",
    RunState.RUNNING: "key",
    RunState.WAITING: "wait",
    RunState.PREEMPTED: "wait",
    RunState.PAUSED: "wait",
    RunState.SUCCEEDED: "good",
    RunState.FAILED: "bad",
    RunState.CANCELLED: "wait",
    RunState.QUARANTINED: "bad",
}


def console(*, stderr: bool = False) -> Console:
    """Console of this process."""
    stream: TextIO | None = sys.stderr if stderr else sys.stdout
    nowhere = Path(os.devnull).open("w") if stream is None else None  # noqa: SIM115 - open as long as we are
    width = None if "COLUMNS" in os.environ or (stream is not None and stream.isatty()) else _PIPE_WIDTH
    return Console(file=nowhere, stderr=stderr, theme=_THEME, markup=False, highlight=False, emoji=False, width=width)


def safe(value: object, *, lines: bool = False) -> str:
    """Text of others with every control sign spelled out; line ends are kept where `lines` says so."""
    return "".join(
        sign if sign.isprintable() or (lines and sign == "\n") else sign.encode("unicode_escape").decode("ascii")
        for sign in str(value)
    )


def state_text(state: RunState | str) -> Text:
    """A state in its colour."""
    known = RunState(state) if state in set(RunState) else None
    return Text(safe(state), style=_STATE_STYLES[known] if known else "")


def short_id(run_id: object) -> str:
    """The last eight signs of an id: they differ also where ids count time."""
    return str(run_id)[-8:]


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3:07`, `2:03:07`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(moment: datetime | None) -> str:
    """How long ago: `just now`, `12 min ago`, `3 h ago`, `2 d ago`."""
    if moment is None:
        return "–"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now" if seconds < 10 else f"{seconds:.0f} s ago"
    for limit, unit, name in ((3600, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds / 86400:.0f} d ago"


def ahead(moment: datetime) -> str:
    """How far ahead a moment lies: `in 12 min`, `in 3 h`, `in 2 d`; behind us as `ago` says it."""
    seconds = (moment - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        return ago(moment)
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < limit:
            return f"in {seconds / unit:.0f} {name}"
    return f"in {seconds / 86400:.0f} d"


def size(count: float) -> str:
    """`812 B`, `3.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the loop returns")


def percent(value: float) -> str:
    """`72.2 %`."""
    return f"{100 * value:.1f} %"


def number(value: float) -> str:
    """A metric in as few digits as tell it."""
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 record`, `2 records`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

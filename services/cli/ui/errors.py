"""One calm panel per error: what happened, why, what to do.

Called by `services/cli/lazy.py` for whatever a command raises.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import typer
from rich import box
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from services.cli.sdk.errors import ApiError, NotReachable, RunFailed
from services.cli.ui.text import console, safe
from shared.errors import FaultlineError, UserError

RUN_FAILED, REFUSED, NOT_REACHABLE = 1, 2, 3
_MOST_FIELDS = 8


@dataclass(frozen=True)
class Explained:
    """An error in words."""

    what: str
    why: str
    remedy: str
    exit_code: int
    fields: list[str] = field(default_factory=list)
    error_id: str | None = None
    calm: bool = False  #: somebody wanted it so


def explain(error: Exception) -> Explained:
    """Put an error into words."""
    if isinstance(error, ApiError):
        code = REFUSED if error.status < 500 else NOT_REACHABLE
        fields = [_field(item) for item in error.errors]
        return Explained(error.title, error.message, error.remedy, code, fields, error.problem.error_id)
    if isinstance(error, RunFailed):
        calm = error.run.state.value == "cancelled"
        what = f"{error.run.kind} {error.run.id} {error.run.state.value}"
        return Explained(what, error.message, error.remedy, RUN_FAILED, error_id=error.error_id, calm=calm)
    if isinstance(error, NotReachable):
        return Explained("Not reachable", error.message, error.remedy, NOT_REACHABLE)
    if isinstance(error, FaultlineError):
        code = REFUSED if isinstance(error, UserError) else NOT_REACHABLE
        return Explained("Not done", error.message, error.remedy, getattr(error, "exit_code", code))
    if isinstance(error, OSError):
        why = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."
        return Explained("Not done", why, "Make room or set the permissions, then call it again.", NOT_REACHABLE)
    if isinstance(error, typer.Abort):
        return Explained("Not done", "It was called off.", "Call it again when ready.", REFUSED, calm=True)
    assert isinstance(error, TyperException)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "faultline"
    return Explained("Wrong usage", error.format_message(), f"`{path} --help` shows how it is called.", REFUSED)


def report(error: Exception, *, as_json: bool = False) -> int:
    """Tell the user; the exit code."""
    explained = explain(error)
    out = console(stderr=True)
    if as_json:
        out.file.write(json.dumps({"error": _document(explained)}) + "\n")
    else:
        out.print(_panel(explained))
    return explained.exit_code


def _panel(explained: Explained) -> Panel:
    colour = "wait" if explained.calm else "bad"
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="quiet", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("why", safe(explained.why, lines=True))
    for number, line in enumerate(explained.fields[:_MOST_FIELDS]):
        rows.add_row("" if number else "where", line)
    if len(explained.fields) > _MOST_FIELDS:
        rows.add_row("", f"... and {len(explained.fields) - _MOST_FIELDS} more")
    rows.add_row("do", safe(explained.remedy, lines=True))
    if explained.error_id:
        rows.add_row("id", safe(explained.error_id))
    title = Text.assemble((safe(explained.what), colour))
    return Panel(rows, title=title, title_align="left", box=box.ROUNDED, border_style=colour, padding=(0, 1))


def _document(explained: Explained) -> dict[str, Any]:
    return {
        "what": explained.what,
        "why": explained.why,
        "remedy": explained.remedy,
        "fields": explained.fields,
        "error_id": explained.error_id,
        "exit_code": explained.exit_code,
    }


def _field(item: dict[str, Any]) -> str:
    place = item.get("where", item.get("loc", ""))
    name = ".".join(str(part) for part in place if part != "body") if isinstance(place, list | tuple) else str(place)
    words = str(item.get("msg", item.get("message", item.get("detail", ""))))
    return safe(f"{name}: {words}" if name else words)

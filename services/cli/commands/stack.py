"""`faultline up`, `down`, `status`: the whole platform on this machine."""

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from services.cli.stack.control import detach, document, report, running, stop
from services.cli.stack.events import Event, Tell
from services.cli.stack.serve import serve
from services.cli.stack.state import StackState, StateFolder, state_folder
from services.cli.ui.listing import Listing
from services.cli.ui.text import console, duration, safe, size

Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, nothing else there.")]

_NOT_RUNNING = 3
_MARKS = {"ready": ("✓", "good"), "died": ("!", "wait"), "note": ("·", "quiet"), "stopped": ("·", "quiet")}
_STYLES = {"ready": "good", "done": "quiet", "starting": "wait", "backoff": "bad", "gone": "bad"}


def up(
    detached: Annotated[bool, typer.Option("--detach", "-d", help="Return when ready; it runs on.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port of the API.", show_default="a free one")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the whole stack on this machine: database, broker, API, dispatcher, workers."""
    folder = state_folder(os.environ)
    tell = _teller(console(stderr=as_json), folder, detached=detached, as_json=as_json)
    if detached:
        detach(folder, port, tell)
    else:
        serve(os.environ, port, tell)


def down(as_json: Json = False) -> None:
    """Stop the stack and wait until it is gone; the data stays."""
    folder = state_folder(os.environ)
    out = console()

    def tell(event: Event) -> None:
        if not as_json:
            words = "stopping; trainings in progress keep their work" if event.kind == "stopping" else safe(event.text)
            out.print(Text(f"  · {words}", style="quiet"))

    stopped = stop(folder, tell)
    if as_json:
        out.file.write(document(None, folder) + "\n")
    elif stopped:
        out.print(f"Stopped. The data stays in {folder.path}.", soft_wrap=True)
    else:
        out.print("Nothing was running.")


def status(as_json: Json = False) -> None:
    """Say which parts of the stack are running."""
    folder = state_folder(os.environ)
    out = console()
    state = running(folder)
    if as_json:
        out.file.write(document(state, folder) + "\n")
    elif state is None:
        out.print("Nothing is running. Start it with `faultline up`.")
    else:
        out.print(_table(state))
        _places(out, state.url, folder)
    if state is None:
        raise typer.Exit(_NOT_RUNNING)


def _teller(out: Console, folder: StateFolder, *, detached: bool, as_json: bool) -> Tell:
    """Says what happens, a line each."""

    def tell(event: Event) -> None:
        if event.kind == "up":
            if as_json:
                console().file.write(document(running(folder), folder) + "\n")
                console().file.flush()
            else:
                _ready(out, event, folder, detached=detached)
        elif event.kind == "stopping":
            out.print(Text("\nStopping ... (Ctrl-C again kills)", style="quiet"))
        elif event.kind in _MARKS and (event.part or event.text):
            out.print(_line(event))

    return tell


def _line(event: Event) -> Text:
    mark, style = _MARKS[event.kind]
    line = Text("  ").append(mark, style=style).append(f" {event.part:<18}")
    if event.kind == "ready":
        line.append(f"{event.seconds:5.1f} s", style="quiet")
    elif event.kind == "died":
        line.append(f"{safe(event.text)}; again in {duration(event.seconds)}", style="wait")
    else:
        line.append(safe(event.text) or event.kind, style="quiet")
    return line


def _ready(out: Console, event: Event, folder: StateFolder, *, detached: bool) -> None:
    out.print()
    out.print(Text("  Ready", style="good").append(f" in {duration(event.seconds)}", style="quiet"))
    _places(out, event.text, folder)
    out.print(Text("  stop  ", style="quiet").append("faultline down" if detached else "Ctrl-C"))


def _places(out: Console, url: str, folder: StateFolder) -> None:
    out.print(Text("  URL   ", style="quiet").append(url, style="key"))
    out.print(Text("  key   ", style="quiet").append(str(folder.path / "credentials.json")))
    out.print(Text("  logs  ", style="quiet").append(str(folder.path / "logs")))


def _table(state: StackState) -> Listing:
    numbers = ("pid", "restarts", "uptime", "memory")
    table = Listing("part", "state", *numbers, right=numbers, least=("restarts", "pid", "uptime", "memory"))
    for part in report(state):
        table.add_row(
            part.name,
            Text(part.state, style=_STYLES.get(part.state, "")),
            str(part.pid or ""),
            str(part.restarts or ""),
            "" if part.uptime_s is None else duration(part.uptime_s),
            "" if part.rss_bytes is None else size(part.rss_bytes),
        )
    return table

"""`faultline runs`: list, show, watch, wait, logs; what else it has is in the `run_*.py` beside this file."""

import time
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.commands.batches import failures
from services.cli.commands.run_actions import cancel, pause, resume, retry
from services.cli.commands.run_clone import clone
from services.cli.commands.run_files import Run, artifacts, download, metrics
from services.cli.commands.run_filter import Which
from services.cli.commands.run_link import link
from services.cli.commands.run_submit import submit
from services.cli.commands.run_why import why
from services.cli.lazy import INTERRUPTED, Group
from services.cli.lookup import find_run
from services.cli.outcome import conclude, wait_for
from services.cli.sdk import RunFilter
from services.cli.session import Session, command
from services.cli.ui.tables import run_picture, runs_table
from services.cli.ui.text import safe
from services.cli.ui.watch import watch
from shared.contracts.views import LogLine

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    add_completion=False,
    help="List, watch, steer runs; read their logs, fetch their files.",
)

FOLLOW_EVERY_S = 1.0
_LEVELS = {"WARNING": "wait", "ERROR": "bad", "CRITICAL": "bad"}


@command(app, "list")
def list_runs(
    session: Session,
    which: Which,
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
) -> None:
    """List runs, newest first.

    \b
    Examples:
      faultline runs list --state running --state queued
      faultline runs list --kind model.train --label sweep:7 --since 2h
    """
    wanted = RunFilter(**{**vars(which.filter), "oldest_first": oldest})
    found = session.client.runs(wanted, limit=limit)
    session.show(found, runs_table(found))


@command(app, "show")
def show_run(session: Session, run: Run) -> None:
    """Show a run with its result or its error."""
    found = find_run(session.client, run)
    session.show(found, run_picture(found))


@command(app, "watch")
def watch_run(session: Session, run: Run = "last") -> None:
    """Watch a run live until it is over. Ctrl-C ends the watching, not the run."""
    ended = watch(session, find_run(session.client, run))
    conclude(session, ended, silent=session.as_json)


@command(app, "wait")
def wait_run(session: Session, run: Run = "last") -> None:
    """Wait in silence until a run is over; exit code 1 if it did not succeed.

    Example: faultline train m --dataset d && faultline runs wait last
    """
    conclude(session, wait_for(session, find_run(session.client, run)))


command(app, "submit")(submit)
command(app, "why")(why)
command(app, "cancel")(cancel)
command(app, "pause")(pause)
command(app, "resume")(resume)
command(app, "retry")(retry)
command(app, "clone")(clone)


@command(app, "logs")
def logs(
    session: Session,
    run: Run,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
) -> None:
    """Print what a run logged; under --json one line of JSON per line."""
    found = find_run(session.client, run)
    cursor: str | None = None
    try:
        while True:
            cursor, over = _print_new(session, found.id, cursor)
            if over or not follow:
                return
            time.sleep(FOLLOW_EVERY_S)
    except KeyboardInterrupt as stop:
        raise typer.Exit(INTERRUPTED) from stop


command(app, "failures")(failures)
command(app, "metrics")(metrics)
command(app, "artifacts")(artifacts)
command(app, "download")(download)
command(app, "link")(link)


def _print_new(session: Session, run_id: UUID, cursor: str | None) -> tuple[str | None, bool]:
    """Print what is new; where to go on, and whether nothing can come any more."""
    while True:
        page = session.client.logs(run_id, cursor)
        for line in page.items:
            if session.as_json:
                session.emit(line)
            else:
                session.out.print(_line(line), soft_wrap=True)
        if page.next_cursor is None or not page.items or page.next_cursor == cursor:
            return page.next_cursor or cursor, page.next_cursor is None
        cursor = page.next_cursor


def _line(entry: LogLine) -> Text:
    line = dict(entry.line)
    moment = safe(line.get("time") or line.get("ts") or line.get("timestamp") or "")
    level = str(line.get("level", "")).upper()
    message = line.get("message") or line.get("msg") or line.get("event") or line
    text = Text(f"{moment} " if moment else "", style="quiet")
    text.append(f"{safe(level):7} ", style=_LEVELS.get(level, "quiet"))
    return text.append(safe(message, lines=True), style="")

"""What follows a request for a run: tell it, wait for it or watch it, then its result or its error."""

from typing import Annotated

import typer

from services.cli.lazy import INTERRUPTED
from services.cli.sdk import RunFailed
from services.cli.session import Session
from services.cli.ui.tables import result_picture, submitted
from services.cli.ui.text import duration, safe, short_id
from services.cli.ui.watch import watch
from shared.contracts.states import RunState
from shared.contracts.views import RunView

Wait = Annotated[bool, typer.Option("--wait", help="Wait in silence until the run is over.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show the run live until it is over.")]
Pool = Annotated[str | None, typer.Option("--pool", metavar="POOL", help="Pool of workers.", show_default=False)]
Priority = Annotated[int, typer.Option("--priority", min=-100, max=100, help="Higher goes first.")]


def follow_up(session: Session, run: RunView, *, wait: bool, watching: bool) -> None:
    """Tell of a new run, or stay with it. Raises `RunFailed`."""
    if watching:
        conclude(session, watch(session, run), silent=session.as_json)
    elif wait:
        conclude(session, wait_for(session, run))
    else:
        session.show(run, submitted(run, str(run.spec.get("name", ""))))


def wait_for(session: Session, run: RunView) -> RunView:
    """The run as it ended; Ctrl-C leaves it running."""
    try:
        return session.client.wait(run.id)
    except KeyboardInterrupt as stop:
        session.err.print(f"The run goes on; `faultline runs cancel {short_id(run.id)}` stops it.")
        raise typer.Exit(INTERRUPTED) from stop


def conclude(session: Session, run: RunView, *, silent: bool = False) -> None:
    """Show how a run ended. Raises `RunFailed` if it did not succeed."""
    if session.as_json and not silent:
        session.emit(run)
    if run.state is not RunState.SUCCEEDED:
        raise RunFailed(run)
    if not session.as_json:
        took = duration(run.envelope.duration_seconds) if run.envelope else ""
        session.say(f"{safe(run.spec.get('name') or run.kind)}: done in {took}\n")
        if run.envelope and run.envelope.result:
            session.out.print(result_picture(run.kind, run.envelope.result))

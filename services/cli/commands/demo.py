"""`faultline demo`."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.demo.stages import Demo
from services.cli.lazy import INTERRUPTED
from services.cli.session import Session, with_session


def _demo(
    session: Session,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="CWRU bearing records; default: generated data.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running that was started for this.")] = False,
) -> None:
    """From data to honest scores in three minutes: a dataset, two kinds of model on two splits, their scores.

    Uses the running stack or starts one for the time it takes. What it did is written to .faultline/demo.json.
    """
    try:
        Demo(session, data, keep=keep).run()
    except KeyboardInterrupt as stop:
        session.err.print("Stopped; the runs of this demo were asked to stop, too.")
        raise typer.Exit(INTERRUPTED) from stop


demo = with_session(_demo)

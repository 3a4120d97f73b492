"""`faultline workers`: list, drain, undrain."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.lazy import ListingGroup
from services.cli.session import Session, command
from services.cli.ui.draining import until_empty
from services.cli.ui.tables import workers_table
from services.cli.ui.text import safe

app = typer.Typer(
    cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Workers: their pools and load; drain them."
)
Name = Annotated[str, typer.Argument(metavar="WORKER", help="Its name.", show_default=False)]


@command(app, "list")
def list_workers(session: Session) -> None:
    """List workers, their pools and load."""
    found = session.client.workers()
    session.show(found, workers_table(found))


@command(app, "drain")
def drain_worker(
    session: Session,
    name: Name,
    wait: Annotated[bool, typer.Option("--wait", help="Show what it still runs until its slots are empty.")] = False,
) -> None:
    """Let a worker finish what it runs and take nothing new, until undrained or restarted. For operators.

    With --wait it ends once the worker may be stopped; Ctrl-C ends the waiting, the worker goes on draining.

    \b
    Example:
      faultline workers drain training-1 --wait && ssh host-1 sudo reboot
    """
    worker = session.client.drain_worker(name)
    if wait:
        worker = until_empty(session, worker)
    session.show(worker, workers_table([worker]))


@command(app, "undrain")
def undrain_worker(session: Session, name: Name) -> None:
    """Let a worker take work again. For operators.

    Example: faultline workers undrain training-1
    """
    worker = session.client.undrain_worker(name)
    words = Text(f"The worker {safe(name)} takes work again, from its next heartbeat on.")
    session.show(worker, words)

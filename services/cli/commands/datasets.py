"""`faultline datasets`: list, show, import, generate."""

from typing import Annotated

import typer

from services.cli.commands.dataset_generate import generate
from services.cli.commands.dataset_import import import_folder
from services.cli.lazy import Group
from services.cli.session import Session, command
from services.cli.ui.tables import dataset_view, datasets_table

app = typer.Typer(
    cls=Group, rich_markup_mode=None, add_completion=False, help="List, show, import and generate datasets."
)


@command(app, "list")
def list_datasets(
    session: Session, limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50
) -> None:
    """List datasets, newest first."""
    found = session.client.datasets(limit)
    session.show(found, datasets_table(found))


@command(app, "show")
def show_dataset(session: Session, name: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")]) -> None:
    """Show what a dataset holds."""
    found = session.client.dataset(name)
    session.show(found, dataset_view(found))


command(app, "import")(import_folder)
command(app, "generate")(generate)

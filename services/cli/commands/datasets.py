"""`faultline datasets`: list, show, import, generate, delete."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.commands.dataset_generate import generate
from services.cli.commands.dataset_import import import_folder
from services.cli.lazy import Group
from services.cli.session import Session, command
from services.cli.ui.tables import dataset_view, datasets_table

app = typer.Typer(
    cls=Group, rich_markup_mode=None, add_completion=False, help="List, show, import, generate, delete datasets."
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


@command(app, "delete")
def delete_dataset(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="DATASET", help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a dataset with its files; its name is free at once. The run that made it stays, with its log."""
    found = session.client.dataset(name)
    session.confirm(f"Delete the dataset {found.name!r} and its files?", yes=yes)
    session.client.delete_dataset(str(found.id))
    session.show({"deleted": str(found.id), "name": found.name}, Text(f"The dataset {found.name} is deleted."))


command(app, "import")(import_folder)
command(app, "generate")(generate)

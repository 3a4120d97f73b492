"""`faultline models`: list, show, link, delete."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.commands.run_link import Life, Names, show_links
from services.cli.lazy import Group
from services.cli.session import Session, command
from services.cli.ui.tables import model_view, models_table

app = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False, help="List, show, link and delete models.")


@command(app, "list")
def list_models(
    session: Session, limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50
) -> None:
    """List models, newest first."""
    found = session.client.models(limit)
    session.show(found, models_table(found))


@command(app, "show")
def show_model(session: Session, name: Annotated[str, typer.Argument(metavar="MODEL", help="Name or id.")]) -> None:
    """Show how a model was trained."""
    found = session.client.model(name)
    session.show(found, model_view(found))


@command(app, "link")
def link_model(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name or id.")],
    files: Names = None,
    life: Life = "1h",
) -> None:
    """Make links at which files of a model can be read for a while, without a key.

    Example: faultline models link wide --for 1d
    """
    show_links(session, session.client.model(name).run_id, files, life)


@command(app, "delete")
def delete_model(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="MODEL", help="Name or id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a model with its files; its name is free at once. The run that made it stays, with its log."""
    found = session.client.model(name)
    session.confirm(f"Delete the model {found.name!r} and its files?", yes=yes)
    session.client.delete_model(str(found.id))
    session.show({"deleted": str(found.id), "name": found.name}, Text(f"The model {found.name} is deleted."))

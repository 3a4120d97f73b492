"""`faultline projects`: list, show, create, set, delete."""

from typing import Annotated, Any

import typer
from rich.console import Group as Together
from rich.text import Text

from services.cli.arguments import WrongArguments, build
from services.cli.lazy import ListingGroup
from services.cli.session import Session, command
from services.cli.ui.access import new_key, project_view, projects_table
from services.cli.ui.text import safe
from shared.contracts.access import ProjectChange, ProjectRequest

app = typer.Typer(
    cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="List, make, limit and delete projects."
)

Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Name or id.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Text_ = Annotated[str | None, typer.Option(metavar="N", help="A number, or `none` for no limit.", show_default=False)]


@command(app, "list")
def list_projects(session: Session, limit: Limit = 50) -> None:
    """List the projects that you may see."""
    found = session.client.projects(limit)
    session.show(found, projects_table(found))


@command(app, "show")
def show_project(session: Session, name: Name) -> None:
    """Show a project and its limits."""
    found = session.client.project(name)
    session.show(found, project_view(found))


@command(app, "create")
def create_project(session: Session, name: Name) -> None:
    """Make a project, of which you become the owner; its first key is shown this once. For operators.

    Example: faultline projects create lab
    """
    made = session.client.create_project(build(ProjectRequest, name=name).name)
    session.show(made, Together(project_view(made), Text(), new_key(made.key)))


@command(app, "set")
def change_project(
    session: Session,
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="A new name; for its owner.")] = None,
    share: Annotated[
        float | None, typer.Option("--share", min=0, help="Of a pool, beside other projects that wait for it.")
    ] = None,
    max_running: Text_ = None,
    max_queued: Text_ = None,
    gpu_hours_per_day: Text_ = None,
) -> None:
    """Change a project's name, or its share and limits; what is left out stays.

    \b
    Examples:
      faultline projects set lab --max-running 4 --gpu-hours-per-day 24
      faultline projects set lab --max-running none
    """
    changes: dict[str, Any] = {}
    if new_name is not None:
        changes["name"] = new_name
    if share is not None:
        changes["share"] = share
    limits = {"max_running": max_running, "max_queued": max_queued, "gpu_hours_per_day": gpu_hours_per_day}
    changes |= {field: _number(field, word) for field, word in limits.items() if word is not None}
    if not changes:
        raise WrongArguments("Nothing is to be changed.", remedy="Give --name, --share or a limit.")
    build(ProjectChange, **{field: value for field, value in changes.items() if value is not None} or {"share": 1.0})
    changed = session.client.change_project(name, **changes)
    session.show(changed, project_view(changed))


@command(app, "delete")
def delete_project(
    session: Session,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Although runs go on: they are asked to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a project: its keys stop at once, what waits is cancelled.

    Example: faultline projects delete lab --force
    """
    session.confirm(f"Delete the project {name!r} and all that is in it?", yes=yes)
    session.client.delete_project(name, force=force)
    session.show({"deleted": name}, Text(f"The project {safe(name)} is deleted."))


def _number(field: str, word: str) -> float | int | None:
    if word.lower() == "none":
        return None
    try:
        return float(word) if field == "gpu_hours_per_day" else int(word)
    except ValueError as error:
        option = f"--{field.replace('_', '-')}"
        raise WrongArguments(f"{option} {word!r} is no number.", remedy="Give a number, or `none`.") from error

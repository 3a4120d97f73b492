"""`faultline members` and `faultline principals`: who may do what in the project, and who there is at all."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments, build
from services.cli.lazy import ListingGroup
from services.cli.session import Session, command
from services.cli.ui.access import members_table, principals_table
from services.cli.ui.text import safe
from shared.contracts.access import PrincipalRequest
from shared.contracts.roles import Role

app = typer.Typer(cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Who may do what in the project.")
principals = typer.Typer(
    cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Users and services of the platform."
)

Who = Annotated[str, typer.Argument(metavar="PRINCIPAL", help="Name or id.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Kind(StrEnum):
    """Of a principal."""

    USER = "user"
    SERVICE = "service"


@command(app, "list")
def list_members(
    session: Session,
    role: Annotated[Role | None, typer.Option("--role", metavar="ROLE", help="With this role.")] = None,
    limit: Limit = 50,
) -> None:
    """List the members of the project."""
    found = session.client.members(role=role, limit=limit)
    session.show(found, members_table(found))


@command(app, "set")
def set_member(
    session: Session,
    who: Who,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, editor, admin or owner.", show_default=False)],
) -> None:
    """Make somebody a member, or change what a member may do.

    Example: faultline members set ada editor
    """
    member = session.client.set_member(who, role)
    session.show(member, members_table([member]))


@command(app, "remove")
def remove_member(session: Session, who: Who, yes: Yes = False) -> None:
    """End a membership; the member's keys of this project are revoked.

    Example: faultline members remove ada --yes
    """
    session.confirm(f"Remove {who!r} from the project and revoke its keys?", yes=yes)
    session.client.remove_member(who)
    session.show({"removed": who}, Text(f"{safe(who)} is no member any more."))


@command(principals, "list")
def list_principals(session: Session, limit: Limit = 50) -> None:
    """List users and services. For operators."""
    found = session.client.principals(limit)
    session.show(found, principals_table(found))


@command(principals, "create")
def create_principal(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new one, e.g. ada@lab.", show_default=False)],
    kind: Annotated[Kind, typer.Option("--kind", help="A person, or a program.")] = Kind.USER,
) -> None:
    """Make a user or a service. For operators.

    It may do nothing before it is a member of a project (`members set`) and has a key (`keys create --for`).

    Example: faultline principals create nightly --kind service
    """
    asked = build(PrincipalRequest, name=name, kind=kind.value)
    made = session.client.create_principal(asked.name, asked.kind)
    session.show(made, principals_table([made]))


@command(principals, "set")
def change_principal(
    session: Session,
    who: Who,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Stop all its keys, or let it in again.")
    ] = None,
    operator: Annotated[
        bool | None, typer.Option("--operator/--no-operator", help="May do what concerns all projects.")
    ] = None,
) -> None:
    """Disable or enable a principal, or make it an operator. For operators.

    Example: faultline principals set ada --disable
    """
    if disabled is None and operator is None:
        raise WrongArguments("Nothing is to be changed.", remedy="Give --disable, --enable, --operator ...")
    changed = session.client.change_principal(who, disabled=disabled, operator=operator)
    session.show(changed, principals_table([changed]))

"""`faultline keys`: list, create, revoke."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.arguments import build
from services.cli.lazy import ListingGroup
from services.cli.sdk import Client
from services.cli.session import Session, command
from services.cli.ui.access import keys_table, new_key
from services.cli.ui.text import safe
from shared.contracts.access import KeyRequest, KeyView
from shared.contracts.roles import Scope
from shared.errors import NotFound

app = typer.Typer(cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="API keys: list, make, revoke.")
_LOOKED_THROUGH = 1000
_SHORTEST = 4


@command(app, "list")
def list_keys(
    session: Session, limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50
) -> None:
    """List your keys; as an admin all of the project."""
    found = session.client.keys(limit)
    session.show(found, keys_table(found))


@command(app, "create")
def create_key(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.", show_default=False)],
    holder: Annotated[
        str | None, typer.Option("--for", metavar="PRINCIPAL", help="For this member; default: for you.")
    ] = None,
    scopes: Annotated[
        list[Scope] | None, typer.Option("--scope", metavar="SCOPE", help="It may do only this (repeat); default: all.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.001, max=3650, help="Until it expires; default: never.")
    ] = None,
) -> None:
    """Make a key; it is shown this once and kept nowhere.

    \b
    Scopes: read, runs:write, data:write, admin.
    Examples:
      faultline keys create laptop
      faultline keys create nightly --for nightly --scope read --scope runs:write --days 90
    """
    expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
    asked = build(KeyRequest, name=name, principal=holder, scopes=scopes or None, expires_at=expires_at)
    made = session.client.create_key(
        asked.name, principal=asked.principal, scopes=asked.scopes, expires_at=asked.expires_at
    )
    session.show(made, new_key(made))


@command(app, "revoke")
def revoke_key(
    session: Session,
    which: Annotated[str, typer.Argument(metavar="WHICH", help="Its name, how it begins, its id or the end of it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Revoke a key: the next request with it is refused.

    Example: faultline keys revoke laptop
    """
    found = _find(session.client, which)
    session.confirm(f"Revoke the key {found.name!r} ({found.prefix}…) of {found.principal}?", yes=yes)
    session.client.revoke_key(found.id)
    session.show({"revoked": str(found.id), "name": found.name}, Text(f"The key {safe(found.name)} is revoked."))


def _find(client: Client, word: str) -> KeyView:
    """The one key that is meant; revoked ones are not. Raises `NotFound`."""
    keys = [key for key in client.keys(_LOOKED_THROUGH) if key.revoked_at is None]
    named = [key for key in keys if word in {key.name, key.prefix, str(key.id)} or _is(word, key.id)]
    if len(named) == 1:
        return named[0]
    what = f"{word[:80]!r} names {len(named)} keys." if named else f"No key that works is named {word[:80]!r}."
    raise NotFound(what, remedy="`faultline keys list` shows names and ids; the end of an id will do.")


def _is(word: str, key_id: UUID) -> bool:
    return len(word) >= _SHORTEST and str(key_id).endswith(word.lower())

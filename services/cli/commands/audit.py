"""`faultline audit`: who asked for what."""

import json
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer
from rich.console import RenderableType
from rich.text import Text

from services.cli.commands.run_filter import moment
from services.cli.session import Session, with_session
from services.cli.ui.listing import Listing
from services.cli.ui.text import safe, short_id
from shared.contracts.access import AuditView


def _audit(
    session: Session,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="E.g. run.cancel; or a group: run.")
    ] = None,
    principal: Annotated[str | None, typer.Option("--by", metavar="PRINCIPAL", help="Name or id.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="30min, 2h, 3d, or 2026-01-31T12:00.")
    ] = None,
    before: Annotated[int | None, typer.Option("--before", metavar="ID", min=1, help="Older than this entry.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> None:
    """Show who asked for what in the project, newest first. For admins.

    \b
    Examples:
      faultline audit --since 1d --by ada
      faultline audit --action key. --json | jq '.[].target'
    """
    after = moment(since, "--since")
    found = session.client.audit(action=action, principal=principal, since=after, before=before, limit=limit + 1)
    shown = found[:limit]
    session.show(shown, _table(shown))
    if len(found) > limit:
        session.say(Text(f"\nOlder ones: the same with `--before {shown[-1].id}`.", style="quiet"))


def _table(found: Sequence[AuditView]) -> RenderableType:
    table = Listing("at", "who", "did", "to", "details", "key", least=("key", "details", "to"))
    for entry in found:
        table.add_row(
            Text(f"{entry.at.astimezone():%m-%d %H:%M:%S}", style="quiet", no_wrap=True),
            Text(safe(entry.principal or "–"), style="name"),
            safe(entry.action),
            Text(_target(entry.target), style="key"),
            Text(_details(entry), style="quiet"),
            Text(f"{safe(entry.key_prefix)}…" if entry.key_prefix else "–", style="quiet"),
        )
    return table if found else Text("Nobody has asked for anything like that.", style="quiet")


def _target(target: str) -> str:
    """A name as it is, of an id its end."""
    try:
        return short_id(UUID(target))
    except ValueError:
        return safe(target)


def _details(entry: AuditView) -> str:
    given = {name: value for name, value in entry.data.items() if value is not None}
    return ", ".join(f"{safe(name)} {safe(_plain(value))}" for name, value in given.items())


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


audit = with_session(_audit)

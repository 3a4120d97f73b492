"""`faultline notify inbox`, `ack`: what I was told."""

from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.lazy import INTERRUPTED
from services.cli.sdk import Client
from services.cli.session import Session
from services.cli.ui.notices import inbox_line, inbox_table
from services.cli.ui.text import safe
from shared.contracts.notifying import InboxItem
from shared.errors import NotFound

#: At most so many are shown at a time while it is followed.
_MOST = 200
_LOOKED_THROUGH = 1000


def inbox(
    session: Session,
    unread: Annotated[bool, typer.Option("--unread", help="Only what you have not read.")] = False,
    read: Annotated[bool, typer.Option("--read", help="Mark what is shown as read.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it comes, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
) -> None:
    """Show what you were told, newest first.

    \b
    Examples:
      faultline notify inbox --unread --read
      faultline notify inbox --follow
    """
    if follow:
        _follow(session, limit, unread=unread, read=read)
        return
    found = session.client.inbox(limit, unread=unread)
    if read and any(item.read_at is None for item in found):
        session.client.read_inbox([item.id for item in found])
    if session.as_json:
        session.emit(found)
    else:
        session.show(found, inbox_table(found, session.client.inbox_count()))


def _follow(session: Session, limit: int, *, unread: bool, read: bool) -> None:
    """The newest first of all, then each as it comes."""
    seen, most = 0, limit
    try:
        for _count in session.client.inbox_counts():
            new = [item for item in session.client.inbox(most, unread=unread) if item.id > seen]
            for item in reversed(new):
                _tell(session, item)
            seen, most = max([seen, *(item.id for item in new)]), _MOST
            if read and any(item.read_at is None for item in new):
                session.client.read_inbox([item.id for item in new])
    except KeyboardInterrupt as stop:
        raise typer.Exit(INTERRUPTED) from stop


def _tell(session: Session, item: InboxItem) -> None:
    if session.as_json:
        session.emit(item)
    else:
        session.out.print(inbox_line(item), soft_wrap=True)


def acknowledge(
    session: Session,
    which: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Of the inbox, or of a notice.", show_default=False)
    ],
) -> None:
    """Take something on: nobody else is called for it.

    Example: faultline notify ack 117
    """
    taken = [session.client.acknowledge(_notice(session.client, word)) for word in which]
    session.show(taken, *(Text(f"Taken on: {safe(notice.title)}") for notice in taken))


def _notice(client: Client, word: str) -> UUID:
    """The id of a notice, by it or by its place in the inbox. Raises `NotFound`."""
    try:
        return UUID(word)
    except ValueError:
        found = [item.notice_id for item in client.inbox(_LOOKED_THROUGH) if str(item.id) == word]
    if not found:
        raise NotFound(f"There is no {word!r} in your inbox.", remedy="`faultline notify inbox` shows it.")
    return found[0]

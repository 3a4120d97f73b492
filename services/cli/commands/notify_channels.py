"""`faultline notify channel`: where something can be told."""

from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.commands.notify_targets import Chat, Email, Rate, Webhook, channel_request, target_of
from services.cli.lazy import ListingGroup
from services.cli.sdk import Client
from services.cli.session import Session, command
from services.cli.ui.notices import channel_made, channels_table, delivery_view
from services.cli.ui.text import safe
from shared.contracts.notifying import DeliveryDetail

app = typer.Typer(
    cls=ListingGroup,
    rich_markup_mode=None,
    add_completion=False,
    help="Where something can be told: add, test, rotate.",
)
Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="Name or id.", show_default=False)]
NewName = Annotated[str, typer.Argument(metavar="NAME", help="Of the new channel.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_UNDER_WAY = frozenset({"pending", "sending"})
_LOOK_EVERY_S = 0.5


def list_channels(session: Session, limit: Limit = 50) -> None:
    """List channels and how they do."""
    found = session.client.channels(limit)
    session.show(found, channels_table(found))


command(app, "list")(list_channels)


@command(app, "add")
def add_channel(
    session: Session,
    name: NewName,
    webhook: Webhook = None,
    email: Email = None,
    chat: Chat = None,
    per_minute: Rate = None,
) -> None:
    """Add a channel. The secret of a webhook is shown this once.

    \b
    Examples:
      faultline notify channel add ops-hook --webhook https://example.org/hook
      faultline notify channel add team --email ada@example.org --email bo@example.org
      faultline notify channel add pager --chat pagerduty://KEY@api
    """
    target = target_of(webhook, email, chat)
    if target is None:
        raise WrongArguments("Where it leads is not said.", remedy="Give --webhook, --email or --chat.")
    made = session.client.create_channel(channel_request(name, target, per_minute))
    session.show(made, channel_made(made))


@command(app, "remove")
def remove_channel(session: Session, name: Name, yes: Yes = False) -> None:
    """Remove a channel, and all subscriptions that lead to it.

    Example: faultline notify channel remove ops-hook
    """
    found = session.client.channel(name)
    session.confirm(f"Remove the channel {found.name!r} and all subscriptions that lead to it?", yes=yes)
    session.client.delete_channel(str(found.id))
    session.show({"removed": str(found.id), "name": found.name}, Text(f"The channel {safe(found.name)} is removed."))


@command(app, "test")
def test_channel(
    session: Session,
    name: Name,
    wait_s: Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="For what comes of it.")] = 15.0,
) -> None:
    """Send a notice there now, and say what came of it.

    Example: faultline notify channel test ops-hook
    """
    asked = session.client.test_channel(name)
    came = _outcome(session.client, asked.id, wait_s)
    session.show(came, delivery_view(came))
    if came.state in _UNDER_WAY and not came.log:
        session.err.print(Text("Nothing has come of it yet: is a notifier running?", style="wait"))


def _outcome(client: Client, delivery_id: UUID, wait_s: float) -> DeliveryDetail:
    """The delivery after its first attempt, or as it is when the time is over."""
    left_s = wait_s
    while True:
        found = client.delivery(delivery_id)
        if found.log or found.state not in _UNDER_WAY or left_s <= 0:
            return found
        client.http.sleep(min(_LOOK_EVERY_S, left_s))
        left_s -= _LOOK_EVERY_S


@command(app, "enable")
def enable_channel(session: Session, name: Name) -> None:
    """Let a channel that failed, or was switched off, be tried again.

    Example: faultline notify channel enable ops-hook
    """
    enabled = session.client.enable_channel(name)
    session.show(enabled, channels_table([enabled]))


@command(app, "rotate")
def rotate_channel(
    session: Session,
    name: Name,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Make none: sign with the newest alone.")] = False,
) -> None:
    """Replace the secret of a webhook in two steps: a new one signs beside the old, then drop the old.

    \b
    Examples:
      faultline notify channel rotate ops-hook
      faultline notify channel rotate ops-hook --drop-old
    """
    rotated = session.client.rotate_channel(name, drop_old=drop_old)
    done = Text("Only the newest secret signs from now on.", style="quiet")
    session.show(rotated, channel_made(rotated), *([done] if drop_old else []))

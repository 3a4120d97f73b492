"""`faultline notify subscribe`: one command, which makes the channel too."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments, build, pairs
from services.cli.commands.notify_targets import Chat, Email, Rate, Webhook, channel_request, name_for, target_of
from services.cli.sdk import ApiError, Client
from services.cli.session import OptionGroup, Session
from services.cli.ui.notices import channel_made, subscription_view
from shared.contracts.notifying import ChannelMade, SubscriptionRequest, Target

Texts = list[str] | None
_MOST_CHANNELS = 1000


class Every(StrEnum):
    """How often a digest comes."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class Weekday(StrEnum):
    """The day of a weekly digest."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Where(OptionGroup):
    """A channel that there is, or a new one."""

    def __init__(
        self,
        _session: Session,
        channel: Annotated[str | None, typer.Option("--channel", metavar="CHANNEL", help="One that there is.")] = None,
        webhook: Webhook = None,
        email: Email = None,
        chat: Chat = None,
        name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of the new channel.")] = None,
        per_minute: Rate = None,
    ) -> None:
        self.channel = channel
        self.target: Target | None = target_of(webhook, email, chat)
        self.name, self.per_minute = name, per_minute
        if channel and self.target:
            raise WrongArguments("--channel names one that there is.", remedy="Leave it out, or the new one.")
        if (name or per_minute) and not self.target:
            raise WrongArguments("--name and --per-minute are of a new channel.", remedy="Give --webhook, say.")

    def make(self, client: Client) -> ChannelMade | None:
        """The new channel, if one is asked for."""
        if self.target is None:
            return None
        name = self.name or name_for(self.target, {one.name for one in client.channels(_MOST_CHANNELS)})
        return client.create_channel(channel_request(name, self.target, self.per_minute))


class Only(OptionGroup):
    """Which of the notices."""

    def __init__(
        self,
        _session: Session,
        labels: Annotated[Texts, typer.Option("--label", metavar="NAME=VALUE", help="Of the run (repeat).")] = None,
        run_kinds: Annotated[
            Texts, typer.Option("--kind", metavar="KIND", help="Of runs of this kind (repeat).")
        ] = None,
        models: Annotated[
            Texts, typer.Option("--model", metavar="TYPE", help="Of trainings of this model, e.g. cnn1d (repeat).")
        ] = None,
        mine: Annotated[bool, typer.Option("--mine", help="Only of runs that I started.")] = False,
        children: Annotated[
            bool, typer.Option("--children", help="Also of each run of a batch or a campaign.")
        ] = False,
        progress_at: Annotated[
            float | None, typer.Option("--progress-at", metavar="SHARE", help="When run.progress is told; 0.5.")
        ] = None,
        accuracy_at: Annotated[
            float | None, typer.Option("--accuracy-at", metavar="SHARE", help="When accuracy.milestone is told; 0.95.")
        ] = None,
    ) -> None:
        given: dict[str, Any] = {"labels": pairs(labels, "--label"), "run_kinds": run_kinds, "model_types": models}
        given |= {"mine": mine, "children": children, "progress_at": progress_at, "accuracy_at": accuracy_at}
        self.filter = {field: value for field, value in given.items() if value}


class When(OptionGroup):
    """At once, or collected; and never at night."""

    def __init__(
        self,
        _session: Session,
        digest: Annotated[Every | None, typer.Option("--digest", help="Collected and sent as one.")] = None,
        at: Annotated[str | None, typer.Option("--at", metavar="HH:MM", help="Of a digest; 09:00.")] = None,
        weekday: Annotated[Weekday | None, typer.Option("--weekday", help="Of a weekly digest; mon.")] = None,
        quiet: Annotated[
            str | None, typer.Option("--quiet", metavar="HH:MM-HH:MM", help="Nothing is sent between these.")
        ] = None,
        zone: Annotated[
            str | None, typer.Option("--timezone", metavar="ZONE", help="Of these times; default: that of here.")
        ] = None,
    ) -> None:
        if digest is None and (at or weekday):
            raise WrongArguments("--at and --weekday are of a digest.", remedy="Give --digest day or --digest week.")
        self.fields: dict[str, Any] = {}
        if digest:
            given = {"every": digest.value, "at": at, "weekday": weekday and list(Weekday).index(weekday)}
            self.fields["digest"] = {field: value for field, value in given.items() if value is not None}
        if quiet:
            begin, dash, end = quiet.partition("-")
            if not dash:
                raise WrongArguments(f"--quiet {quiet!r} is not of the form HH:MM-HH:MM.", remedy="Write 22:00-07:00.")
            self.fields["quiet"] = {"begin": begin.strip(), "end": end.strip()}
        if zone or self.fields:
            self.fields["timezone"] = zone or local_zone()


def subscribe(
    session: Session,
    kinds: Annotated[
        list[str], typer.Argument(metavar="NOTICE...", help="`faultline notify kinds` lists them.", show_default=False)
    ],
    where: Where,
    only: Only,
    when: When,
    escalate_to: Annotated[
        str | None, typer.Option("--escalate-to", metavar="CHANNEL", help="If nobody takes it on, tell this one too.")
    ] = None,
    escalate_after: Annotated[
        int, typer.Option("--escalate-after", metavar="MINUTES", min=1, help="How long that is waited for.")
    ] = 30,
) -> None:
    """Be told when something happens; without a channel in your inbox.

    A new channel is made by the same command. The secret of a webhook is shown this once.

    \b
    Examples:
      faultline notify subscribe run.failed
      faultline notify subscribe run.failed campaign.finished --webhook https://example.org/hook
      faultline notify subscribe 'run.*' --email ada@example.org --digest day --at 07:30
      faultline notify subscribe run.failed --chat slack://T.../B.../... --mine --quiet 22:00-07:00
      faultline notify subscribe run.quarantined --channel ops --escalate-to pager
    """
    escalation = {"after_minutes": escalate_after, "channel": escalate_to} if escalate_to else None
    fields: dict[str, Any] = {"filter": only.filter or None, "escalation": escalation, **when.fields}
    somewhere = where.channel or (where.target and "new")
    request = build(SubscriptionRequest, kinds=kinds, channel=somewhere, **fields)
    made = where.make(session.client)
    try:
        found = session.client.subscribe(request.model_copy(update={"channel": str(made.id)}) if made else request)
    except ApiError:
        if made:
            session.client.delete_channel(str(made.id))
        raise
    shown = {"subscription": found.model_dump(mode="json"), "channel": made and made.model_dump(mode="json")}
    pictures = [channel_made(made), Text()] if made else []
    session.show(shown, *pictures, subscription_view(found))


def local_zone() -> str:
    """The zone of this machine as the tz database names it; UTC where it does not say."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and not named.startswith("/"):
        return named
    path = Path(named or "/etc/localtime").resolve().as_posix()
    return path.partition("zoneinfo/")[2] or "UTC"

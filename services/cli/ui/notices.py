"""Channels, subscriptions, deliveries and the inbox as tables and one by one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from services.cli.ui.listing import Listing
from services.cli.ui.result import facts
from services.cli.ui.text import ago, ahead, plural, safe, short_id
from shared.contracts.notices import NOTICES
from shared.contracts.notifying import (
    ChannelMade,
    ChannelView,
    DeliveryDetail,
    DeliveryView,
    InboxCount,
    InboxItem,
    KindView,
    SubscriptionView,
)

_CHANNEL_STYLES = {"enabled": "good", "failing": "wait", "disabled": "bad"}
_DELIVERY_STYLES = {"delivered": "good", "dead": "bad", "dropped": "quiet", "held": "wait"}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_KINDS = 3


def kinds_table(found: Sequence[KindView]) -> RenderableType:
    """Kinds of notice; those that come by themselves are marked."""
    table = Listing("notice", "tells", enough=60)
    for kind in found:
        about = Text(safe(kind.about))
        if not kind.subscribable:
            about.append("  comes by itself", style="quiet")
        table.add_row(Text(safe(kind.name), style="bad" if kind.urgent else "name", no_wrap=True), about)
    return table


def channels_table(found: Sequence[ChannelView]) -> RenderableType:
    """Channels and how they do."""
    trouble = ["trouble"] if any(channel.last_error for channel in found) else []
    columns = ("channel", "service", "to", "state", "rate", *trouble)
    table = Listing(*columns, least=("rate", "trouble", "to"), enough=24)
    for channel in found:
        table.add_row(
            Text(safe(channel.name), style="name"),
            safe(channel.service),
            Text(safe(channel.shown), style="quiet"),
            _channel_state(channel),
            Text(f"{channel.per_minute:g}/min", style="quiet"),
            *(Text(safe(channel.last_error or ""), style="bad") for _ in trouble),
        )
    return table if found else Text("There are no channels: `faultline notify channel add` makes one.", style="quiet")


def channel_made(channel: ChannelMade) -> RenderableType:
    """A new channel, or one whose secret is new."""
    rows: list[tuple[str, RenderableType]] = [
        ("channel", Text(safe(channel.name), style="name")),
        ("to", f"{safe(channel.service)}  {safe(channel.shown)}"),
    ]
    if channel.secret is None:
        return facts(*rows)
    rows.append(("secret", Text(safe(channel.secret), style="key")))
    words = (
        "Shown this once. The receiver verifies `webhook-signature` with it, as Standard Webhooks has it; any library "
        "of that name does."
    )
    return Group(facts(*rows), Padding(Text(words, style="quiet"), (1, 0, 0, 0)))


def _channel_state(channel: ChannelView) -> Text:
    words = Text(channel.state, style=_CHANNEL_STYLES[channel.state])
    if channel.state == "failing":
        words.append(f" {channel.failures}x", style="quiet")
    return words


def subscriptions_table(found: Sequence[SubscriptionView], *, everybody: bool = False) -> RenderableType:
    """Subscriptions; `everybody`: whose they are is shown."""
    columns = ("id", *(["of"] if everybody else []), "notices", "only", "to", "when")
    table = Listing(*columns, least=("only", "of"), enough=22)
    for one in found:
        table.add_row(
            Text(short_id(one.id), style="key"),
            *([Text(short_id(one.principal_id), style="quiet")] if everybody else []),
            Text(_kinds(one.kinds), style="name"),
            Text(only(one), style="quiet"),
            safe(one.channel or "inbox"),
            _when(one),
        )
    return table if found else Text("You are told nothing yet: `faultline notify subscribe run.failed`.", style="quiet")


def subscription_view(one: SubscriptionView) -> RenderableType:
    """One subscription, with the words of when."""
    rows: list[tuple[str, RenderableType]] = [
        ("id", Text(str(one.id), style="key")),
        ("notices", Text(", ".join(map(safe, groups(one.kinds))), style="name")),
        ("to", safe(one.channel or "your inbox")),
        ("when", _when(one)),
    ]
    if words := only(one):
        rows.append(("only", words))
    if one.quiet:
        rows.append(("quiet", f"{one.quiet.begin:%H:%M} to {one.quiet.end:%H:%M} in {safe(one.timezone)}"))
    if one.escalation:
        after = plural(one.escalation.after_minutes, "minute")
        rows.append(("escalates", f"to {safe(one.escalation.channel)} if nobody takes it on within {after}"))
    return facts(*rows)


def only(one: SubscriptionView) -> str:
    """What a filter lets pass, in words."""
    wanted = one.filter
    words = [f"{safe(name)}={safe(value)}" for name, value in wanted.labels.items()]
    words += [safe(kind) for kind in (*wanted.run_kinds, *wanted.model_types)]
    words += ["mine"] if wanted.mine else []
    words += ["children too"] if wanted.children else []
    return ", ".join(words)


def _kinds(kinds: Sequence[str]) -> str:
    named = groups(kinds)
    shown = ", ".join(map(safe, named[:_MOST_KINDS]))
    return shown + (f" and {len(named) - _MOST_KINDS} more" if len(named) > _MOST_KINDS else "")


def groups(kinds: Sequence[str]) -> list[str]:
    """The kinds as one would type them: `run.*` where all of a group are there, `everything` where all are."""
    all_of = [name for name, kind in NOTICES.items() if kind.subscribable]
    if set(kinds) >= set(all_of):
        return ["everything"]
    members: dict[str, list[str]] = {}
    for name in all_of:
        members.setdefault(name.partition(".")[0], []).append(name)
    whole = {group for group, names in members.items() if len(names) > 1 and set(names) <= set(kinds)}
    heads = {kind: kind.partition(".")[0] for kind in kinds}
    return list(dict.fromkeys(f"{head}.*" if head in whole else kind for kind, head in heads.items()))


def _when(one: SubscriptionView) -> Text:
    if not one.enabled:
        return Text("switched off", style="wait")
    if one.muted_until and one.muted_until > datetime.now(UTC):
        return Text(f"muted, ends {ahead(one.muted_until)}", style="wait")
    if one.digest is None:
        return Text("at once", style="good")
    at = f"{one.digest.at:%H:%M} in {safe(one.timezone)}"
    every = {"hour": "hourly", "day": f"daily at {at}", "week": f"{_WEEKDAYS[one.digest.weekday]}s at {at}"}
    return Text(every[one.digest.every], style="good")


def deliveries_table(found: Sequence[DeliveryView]) -> RenderableType:
    """Deliveries, newest first."""
    table = Listing("id", "notice", "run", "to", "state", "tries", "when", "why", least=("run", "tries", "when", "why"))
    for one in found:
        table.add_row(
            Text(short_id(one.id), style="key"),
            safe(one.kind),
            Text(short_id(one.run_id) if one.run_id else "–", style="quiet"),
            safe(one.channel),
            _delivery_state(one),
            str(one.attempts),
            Text(ago(one.delivered_at or one.created_at), style="quiet"),
            Text(safe(_why(one)), style="quiet"),
        )
    return table if found else Text("There are no such deliveries.", style="quiet")


def delivery_view(one: DeliveryDetail) -> RenderableType:
    """One delivery with each attempt and what was sent."""
    rows: list[tuple[str, RenderableType]] = [
        ("delivery", Text(str(one.id), style="key")),
        ("notice", Text(safe(one.kind), style="name")),
        ("to", safe(one.channel)),
        ("state", _delivery_state(one)),
    ]
    if why := _why(one):
        rows.append(("why", safe(why)))
    if one.state == "pending":
        rows.append(("next", ahead(one.due_at)))
    table = Listing("try", "at", "answer", "took", "says", least=("at", "took"), enough=30)
    for attempt in one.log:
        answer = str(attempt.status) if attempt.status is not None else "–"
        table.add_row(
            str(attempt.attempt),
            Text(f"{attempt.at.astimezone():%m-%d %H:%M:%S}", style="quiet"),
            Text(answer, style="good" if attempt.ok else "bad"),
            Text(f"{attempt.latency_ms:.0f} ms", style="quiet"),
            safe(attempt.error or attempt.excerpt),
        )
    body = Text(safe(json.dumps(one.request, ensure_ascii=False)), style="quiet")
    tries = [Padding(table, (1, 0, 0, 0))] if one.log else []
    return Group(facts(*rows), *tries, Padding(body, (1, 0, 0, 0)))


def _delivery_state(one: DeliveryView) -> Text:
    return Text(one.state, style=_DELIVERY_STYLES.get(one.state, "key"))


def _why(one: DeliveryView) -> str:
    if one.state == "delivered":
        return ""
    return ": ".join(words for words in (one.reason, one.last_error) if words)


def inbox_table(found: Sequence[InboxItem], count: InboxCount) -> RenderableType:
    """The inbox, newest first; what was not read is marked."""
    if not found:
        return Text("Nothing here.", style="quiet")
    table = Listing("id", "", "what", "notice", "run", "when", least=("notice", "run"), enough=40)
    for item in found:
        table.add_row(*inbox_row(item))
    urgent = f", {count.urgent} urgent" if count.urgent else ""
    return Group(table, Padding(Text(f"{count.unread} unread{urgent}", style="quiet"), (1, 0, 0, 0)))


def inbox_row(item: InboxItem) -> tuple[RenderableType, ...]:
    """One item of the table."""
    mark = "✓" if item.acknowledged_at else "" if item.read_at else "●"
    return (
        Text(str(item.id), style="key"),
        Text(mark, style=_style(item)),
        _title(item),
        Text(safe(item.kind), style="quiet"),
        Text(short_id(item.run_id) if item.run_id else "–", style="quiet"),
        Text(ago(item.at), style="quiet"),
    )


def inbox_line(item: InboxItem) -> Text:
    """One item as it comes."""
    line = Text(f"{item.at.astimezone():%H:%M:%S}  ", style="quiet")
    return line.append(f"{item.id}  ", style="key").append(_title(item))


def _title(item: InboxItem) -> Text:
    return Text(safe(item.title), style=_style(item))


def _style(item: InboxItem) -> str:
    """Quiet once it was read, red where a person should look."""
    kind = NOTICES.get(item.kind)
    return "quiet" if item.read_at else "bad" if kind and kind.urgent and not item.acknowledged_at else "name"

"""Whom a notice concerns: which subscriptions let it pass, and when each wants to be told."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.notifier.recognise import Found
from services.notifier.zones import known_zone
from shared.contracts.notices import BY_DEFAULT
from shared.contracts.notifying import Filter, Quiet
from shared.notices.times import quiet_until


@dataclass(frozen=True)
class Told:
    """One notice for one subscription. `channel_id` None: for the inbox of `principal_id`."""

    found: Found
    milestone: float | None
    project_id: UUID
    principal_id: UUID
    subscription_id: UUID | None
    channel_id: UUID | None
    state: str  #: pending, or held for a digest
    due_at: datetime
    reason: str | None = None
    escalates: bool = False

    @property
    def notice_id(self) -> UUID:
        """The notice, which others may be told of too."""
        return self.found.id_for(self.milestone)


@dataclass(frozen=True)
class _Wish:
    """A row of subscriptions with its filter, read."""

    row: Any
    filter: Filter


def matched(found: Iterable[Found], subscriptions: Sequence[Any], now: datetime) -> Iterator[Told]:
    """Who is told of these. `subscriptions`: rows of the projects concerned; muted and disabled ones not among them."""
    by_kind: dict[tuple[UUID | None, str], list[_Wish]] = {}
    for row in subscriptions:
        wish = _Wish(row, Filter.stored(row.filter))
        for kind in row.kinds:
            by_kind.setdefault((row.project_id, kind), []).append(wish)
    projects = {row.project_id for row in subscriptions}
    for one in found:
        fitting: list[_Wish] = []
        for project_id in projects if one.project_id is None else (one.project_id,):
            fitting += [wish for wish in by_kind.get((project_id, one.kind), ()) if _passes(wish, one)]
        for wish in fitting:
            yield from _told(wish, one, now)
        own = one.created_by
        if one.project_id is None or own is None or one.child or one.kind not in BY_DEFAULT:
            continue
        if not any(wish.row.principal_id == own and wish.row.channel_id is None for wish in fitting):
            yield Told(one, None, one.project_id, own, None, None, "pending", now)


def _passes(wish: _Wish, found: Found) -> bool:
    """Whether a subscription lets it pass."""
    row, wanted = wish.row, wish.filter
    if row.created_at > found.at:
        return False
    if found.run_id is not None:
        if found.child and not wanted.children:
            return False
        if wanted.mine and found.created_by != row.principal_id:
            return False
    if any(found.labels.get(key) != value for key, value in wanted.labels.items()):
        return False
    if wanted.run_kinds and found.run_kind not in wanted.run_kinds:
        return False
    if wanted.model_types and found.model_type not in wanted.model_types:
        return False
    milestone = _milestone(wanted, found)
    return milestone is None or (found.reached or 0.0) >= milestone


def _milestone(wanted: Filter, found: Found) -> float | None:
    match found.kind:
        case "run.progress":
            return wanted.progress_at
        case "accuracy.milestone":
            return wanted.accuracy_at
    return None


def _told(wish: _Wish, found: Found, now: datetime) -> Iterator[Told]:
    row = wish.row
    who = (found, _milestone(wish.filter, found), row.project_id, row.principal_id, row.id)
    if row.channel_id is None:
        yield Told(*who, None, "pending", now)
    elif row.digest is not None:
        yield Told(*who, row.channel_id, "held", now, "for the next digest")
    else:
        later = _quiet(row, now)
        yield Told(*who, row.channel_id, "pending", later or now, "quiet hours" if later else None)
    if row.escalate_to is not None and row.escalate_after_s is not None:
        due_at = now + timedelta(seconds=row.escalate_after_s)
        yield Told(*who, row.escalate_to, "pending", due_at, "if nobody acknowledges", escalates=True)


def _quiet(row: Any, now: datetime) -> datetime | None:
    if row.quiet is None:
        return None
    quiet = Quiet.stored(row.quiet)
    return quiet_until(quiet.begin, quiet.end, known_zone(row.timezone), now)

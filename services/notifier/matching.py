"""Whom a notice concerns: which subscriptions let it pass, and when each wants to be told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from services.notifier.recognise import Found
from services.notifier.zones import known_zone
from shared.contracts.notices import BY_DEFAULT
from shared.notices.times import quiet_until

_MILESTONES = {"run.progress": ("progress_at", 0.5), "accuracy.milestone": ("accuracy_at", 0.95)}


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


def matched(found: Iterable[Found], subscriptions: Sequence[Any], now: datetime) -> Iterator[Told]:
    """Who is told of these. `subscriptions`: rows of the projects concerned; muted and disabled ones not among them."""
    by_kind: dict[tuple[UUID | None, str], list[Any]] = {}
    for row in subscriptions:
        for kind in row.kinds:
            by_kind.setdefault((row.project_id, kind), []).append(row)
    projects = {row.project_id for row in subscriptions}
    for one in found:
        fitting: list[Any] = []
        for project_id in projects if one.project_id is None else (one.project_id,):
            fitting += [row for row in by_kind.get((project_id, one.kind), ()) if _passes(row, one)]
        for row in fitting:
            yield from _told(row, one, now)
        own = one.created_by
        if one.project_id is None or own is None or one.child or one.kind not in BY_DEFAULT:
            continue
        if not any(row.principal_id == own and row.channel_id is None for row in fitting):
            yield Told(one, None, one.project_id, own, None, None, "pending", now)


def _passes(row: Any, found: Found) -> bool:
    """Whether the filter of a subscription lets it pass."""
    wanted: Mapping[str, Any] = row.filter
    if row.created_at > found.at:
        return False
    if found.run_id is not None:
        if found.child and not wanted.get("children"):
            return False
        if wanted.get("mine") and found.created_by != row.principal_id:
            return False
    if any(found.labels.get(key) != value for key, value in (wanted.get("labels") or {}).items()):
        return False
    if (kinds := wanted.get("run_kinds")) and found.run_kind not in kinds:
        return False
    if (types := wanted.get("model_types")) and found.model_type not in types:
        return False
    milestone = _milestone(row, found)
    return milestone is None or (found.reached or 0.0) >= milestone


def _milestone(row: Any, found: Found) -> float | None:
    if found.kind not in _MILESTONES:
        return None
    field, usual = _MILESTONES[found.kind]
    return float(row.filter.get(field, usual))


def _told(row: Any, found: Found, now: datetime) -> Iterator[Told]:
    milestone = _milestone(row, found)
    who = (found, milestone, row.project_id, row.principal_id, row.id)
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
    begin, end = (time.fromisoformat(row.quiet[key]) for key in ("begin", "end"))
    return quiet_until(begin, end, known_zone(row.timezone), now)

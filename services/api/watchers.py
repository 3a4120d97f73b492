"""Who watches what: one run, all runs of a project, or an inbox; how what is new is read, and how it looks."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.news import NewsFilter, Place, news_view, place_of, read_news
from services.api.stream import Mailbox, frame
from shared.contracts.notifying import InboxCount
from shared.contracts.states import TERMINAL
from shared.contracts.views import EventView
from shared.db.models import Run
from shared.notices.inbox import Reader, counts

#: A watcher that is behind is given so many events of its run in one round.
_AT_ONCE = 100
#: So many places behind the newest are read in one round; the others wait for the next.
_PLACES = 8


@dataclass(eq=False)
class RunWatcher:
    """One open stream of a run. `place` is the `seq` that was handed over last; the hub's thread writes it."""

    mailbox: Mailbox
    identity: Identity
    run_id: UUID
    place: int


@dataclass(eq=False)
class NewsWatcher:
    """One open stream of a project. `place` is where reading goes on; the hub's thread writes it."""

    mailbox: Mailbox
    identity: Identity
    wanted: NewsFilter
    place: Place


@dataclass(eq=False)
class InboxWatcher:
    """One open stream of an inbox. `place` is the count that was handed over last; the hub's thread writes it."""

    mailbox: Mailbox
    identity: Identity
    place: InboxCount | None = None


Watcher = RunWatcher | NewsWatcher | InboxWatcher


@dataclass(frozen=True)
class Delivery:
    """Bytes for one mailbox, and whether they are its last."""

    mailbox: Mailbox
    chunk: bytes
    last: bool = False


@dataclass(frozen=True)
class _Frame:
    place: Any
    content: bytes
    last: bool = False


def end_frame(run_id: UUID) -> bytes:
    """The last message of a run's stream."""
    return frame("end", {"run_id": run_id})


_NEW = text(
    """
    SELECT watched.seq AS behind, e.run_id, e.seq, e.attempt, e.type, e.at, e.data
    FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS int[])) AS watched (run_id, seq)
    CROSS JOIN LATERAL (
        SELECT * FROM run_events WHERE run_id = watched.run_id AND seq > watched.seq ORDER BY seq LIMIT :at_once
    ) AS e ORDER BY watched.run_id, watched.seq, e.seq
    """
)


def serve_runs(session: Session, watchers: Iterable[RunWatcher]) -> tuple[list[Delivery], bool]:
    """What is new for these, by one query; and whether some have more to come at once."""
    by_place: dict[tuple[UUID, int], list[RunWatcher]] = defaultdict(list)
    for watcher in watchers:
        by_place[watcher.run_id, watcher.place].append(watcher)
    if not by_place:
        return [], False
    ids, seqs = zip(*by_place, strict=True)
    rows = session.execute(_NEW, {"ids": list(ids), "seqs": list(seqs), "at_once": _AT_ONCE}).all()
    news: dict[tuple[UUID, int], list[_Frame]] = defaultdict(list)
    for row in rows:
        news[row.run_id, row.behind].append(_run_frame(row))
    deliveries = [
        delivery for place, frames in news.items() for watcher in by_place[place] for delivery in _hand(watcher, frames)
    ]
    return deliveries, any(len(frames) == _AT_ONCE for frames in news.values())


def _run_frame(row: Any) -> _Frame:
    view = EventView(run_id=row.run_id, seq=row.seq, attempt=row.attempt, type=row.type, at=row.at, data=row.data)
    content = frame(row.type, view.model_dump(mode="json"), str(row.seq))
    if row.type == "state" and row.data["state"] in TERMINAL:
        return _Frame(row.seq, content + end_frame(row.run_id), last=True)
    return _Frame(row.seq, content)


def serve_news(session: Session, watchers: Iterable[NewsWatcher]) -> tuple[list[Delivery], bool]:
    """What is new for these: one query for all at the same place, and for at most `_PLACES` places."""
    by_place: dict[Place, list[NewsWatcher]] = defaultdict(list)
    for watcher in watchers:
        by_place[watcher.place].append(watcher)
    newest_first = sorted(by_place, reverse=True)
    chosen = newest_first[:1] + newest_first[1:][-_PLACES:]
    reads = []
    for place in chosen:
        projects = {watcher.identity.project_id for watcher in by_place[place]}
        rows, end, more = read_news(session, place, projects)
        reads.append((by_place[place], [(row, _news_frame(row)) for row in rows], end, more))
    deliveries: list[Delivery] = []
    for group, read, end, _more in reads:  # nothing fails from here on, so a place that has moved is handed over
        for watcher in group:
            mine = [item for row, item in read if _is_for(watcher, row)]
            deliveries += _hand(watcher, mine)
            if not mine or watcher.place == mine[-1].place:
                watcher.place = end
    return deliveries, len(chosen) < len(by_place) or any(more for *_rest, more in reads)


def _news_frame(row: Any) -> _Frame:
    place = place_of(row)
    return _Frame(place, frame(row.type, news_view(row).model_dump(mode="json"), str(place)))


def _is_for(watcher: NewsWatcher, row: Any) -> bool:
    return bool(row.project_id == watcher.identity.project_id) and watcher.wanted.lets_pass(row)


def serve_inboxes(session: Session, watchers: Sequence[InboxWatcher]) -> list[Delivery]:
    """The counts that have changed, by one query."""
    if not watchers:
        return []
    found = counts(session, {_reader(watcher) for watcher in watchers})
    news = ((watcher, found[_reader(watcher)]) for watcher in watchers)
    return [
        delivery
        for watcher, now in news
        if now != watcher.place
        for delivery in _hand(watcher, [_Frame(now, frame("count", now.model_dump(mode="json")))])
    ]


def _reader(watcher: InboxWatcher) -> Reader:
    return watcher.identity.principal_id, watcher.identity.project_id


def _hand(watcher: Watcher, frames: Sequence[_Frame]) -> list[Delivery]:
    """Hand over as many frames as there is room for, but at least one, and move the watcher's place behind them."""
    taken, size = 0, 0
    room = watcher.mailbox.room
    while taken < len(frames) and (taken == 0 or size + len(frames[taken].content) <= room):
        size += len(frames[taken].content)
        taken += 1
    if taken == 0:
        return []
    watcher.place = frames[taken - 1].place
    watcher.mailbox.offered += size
    chunk = b"".join(item.content for item in frames[:taken])
    return [Delivery(watcher.mailbox, chunk, frames[taken - 1].last)]


def still_there(session: Session, run_ids: Collection[UUID]) -> set[UUID]:
    """Those runs that have not been removed."""
    return set(session.scalars(select(Run.id).where(Run.id.in_(run_ids))))

"""Carries event rows to everyone who watches: one thread, one connection that listens, one query per tick for all.

A watcher has its own cursor, so replay and live are the same thing: rows with a higher `seq`. One that does not read
keeps its cursor where it is and is served again later; its queue is bounded and nobody waits for it.
"""

import asyncio
import threading
from dataclasses import dataclass, field
from uuid import UUID

import psycopg2
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts.views import EventView
from shared.db.listen import RUNS_CHANNEL, Listener
from shared.db.session import transaction

_log = structlog.get_logger(__name__)
_QUEUE = 256
_NEW = text(
    """
    SELECT watched.seq AS behind, e.run_id, e.seq, e.attempt, e.type, e.at, e.data
    FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS int[])) AS watched (run_id, seq)
    CROSS JOIN LATERAL (
        SELECT * FROM run_events WHERE run_id = watched.run_id AND seq > watched.seq ORDER BY seq LIMIT 200
    ) AS e ORDER BY watched.run_id, watched.seq, e.seq
    """
)


@dataclass(eq=False)
class Watcher:
    """One open stream. `cursor` and `offered` are written by the hub's thread only, `taken` by the reader only."""

    run_id: UUID
    cursor: int
    loop: asyncio.AbstractEventLoop
    queue: "asyncio.Queue[EventView]" = field(default_factory=asyncio.Queue)
    offered: int = 0
    taken: int = 0

    @property
    def room(self) -> int:
        """How many events may still be handed over."""
        return _QUEUE - (self.offered - self.taken)

    def offer(self, events: list[EventView]) -> None:
        """From the hub's thread: hand over what is new, in order, as far as there is room."""
        new = [event for event in events if event.seq > self.cursor][: self.room]
        for event in new:
            self.offered += 1
            self.cursor = event.seq
            self.loop.call_soon_threadsafe(self.queue.put_nowait, event)

    async def next(self) -> EventView:
        """From the reader: the next event, in order, each once."""
        event = await self.queue.get()
        self.taken += 1
        return event


class EventHub:
    """Start it once per process; `watch` and `forget` from the event loop."""

    def __init__(self, engine: Engine, direct_url: str, poll_s: float) -> None:
        self._engine = engine
        self._direct_url = direct_url
        self._poll_s = poll_s
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event hub", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; open streams end with their connections."""
        self._over.set()
        self._thread.join()

    def watch(self, run_id: UUID, after: int) -> Watcher:
        """Follow a run from the event behind `after`."""
        watcher = Watcher(run_id, after, asyncio.get_running_loop())
        with self._lock:
            self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: Watcher) -> None:
        """The stream is closed."""
        with self._lock:
            self._watchers.discard(watcher)

    def _run(self) -> None:
        with Listener(self._direct_url, (RUNS_CHANNEL,)) as listener:
            while not self._over.is_set():
                try:
                    listener.wait(self._poll_s)
                    self._serve()
                except (psycopg2.Error, SQLAlchemyError) as error:
                    _log.warning("the hub waits for the database", error=str(error)[:300])
                    self._over.wait(1.0)

    def _serve(self) -> None:
        with self._lock:
            watchers = [watcher for watcher in self._watchers if watcher.room > 0]
        if not watchers:
            return
        by_place: dict[tuple[UUID, int], list[Watcher]] = {}
        for watcher in watchers:
            by_place.setdefault((watcher.run_id, watcher.cursor), []).append(watcher)
        places = list(by_place)
        values = {"ids": [run_id for run_id, _ in places], "seqs": [cursor for _, cursor in places]}
        with transaction(self._engine) as session:
            rows = session.execute(_NEW, values).mappings().all()
        news: dict[tuple[UUID, int], list[EventView]] = {}
        for row in rows:
            news.setdefault((row["run_id"], row["behind"]), []).append(EventView.model_validate(dict(row)))
        for place, events in news.items():
            for watcher in by_place[place]:
                watcher.offer(events)

"""Carries event rows to everyone who watches: one thread, one connection that listens, one query per round for all.

A watcher has its own place in the rows, so replay and live are the same thing: what lies behind the place. Watchers at
one place share the query and the bytes; one that does not read keeps its place and nobody waits for it.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import Engine

from services.api.access.identity import still_good
from services.api.news import lag_s
from services.api.stream import frame
from services.api.watchers import (
    Delivery,
    InboxWatcher,
    NewsWatcher,
    RunWatcher,
    Watcher,
    serve_inboxes,
    serve_news,
    serve_runs,
    still_there,
)
from shared.db.listen import INBOX_CHANNEL, RUNS_CHANNEL, Listener
from shared.db.session import transaction
from shared.observability import metrics
from shared.queue.threads import keep_going

_log = structlog.get_logger(__name__)
#: Rings that come within so short a time share one round; a person does not see the difference.
_ROUND_S = 0.02
#: Access that was taken away ends a stream after so long at most.
_CHECK_S = 2.0
#: Among those who have rung: some run. Its payload has more words than the id.
_A_RUN = "a run"
#: A lost ring of an inbox costs so much: what is unread is counted, so not at every poll.
_COUNT_S = 10.0


class EventHub:
    """Start it once per process; `watch` and `forget` from the event loop."""

    def __init__(self, engine: Engine, direct_url: str, poll_s: float) -> None:
        self._engine = engine
        self._poll_s = poll_s
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._open = True
        self._over = threading.Event()
        self._listener = Listener(direct_url, (RUNS_CHANNEL, INBOX_CHANNEL))
        self._thread = threading.Thread(target=self._run, name="event hub", daemon=True)
        self._poll_at_s = 0.0  #: when all watchers are looked at again, rung for or not
        self._check_at_s = 0.0
        self._count_at_s = 0.0

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def end_streams(self) -> None:
        """The process is about to end: close all streams, so that their clients go elsewhere, and open no more."""
        with self._lock:
            self._open = False
            watchers = list(self._watchers)
        self._deliver([Delivery(watcher.mailbox, b"", last=True) for watcher in watchers])

    def stop(self) -> None:
        """End the streams and the thread."""
        self.end_streams()
        self._over.set()
        self._listener.ring()
        self._thread.join()

    def watch(self, watcher: Watcher) -> None:
        """Follow from the watcher's place on."""
        with self._lock:
            self._watchers.add(watcher)
            self._poll_at_s = 0.0
            if not self._open:
                watcher.mailbox.close()
        self._listener.ring()

    def forget(self, watcher: Watcher) -> None:
        """The stream is closed."""
        with self._lock:
            self._watchers.discard(watcher)

    def _run(self) -> None:
        with self._listener:
            keep_going("event hub", self._over, self._round)

    def _round(self) -> None:
        """Wait for a ring or for the time to poll, then serve whom it may concern."""
        rung = self._listener.wait(max(0.0, self._poll_at_s - time.monotonic()))
        if self._over.is_set():
            return
        began_s = time.monotonic()
        with self._lock:
            watchers = list(self._watchers)
            poll = began_s >= self._poll_at_s
            if poll:
                self._poll_at_s = began_s + self._poll_s
        if not watchers:
            return
        if began_s >= self._check_at_s:
            self._check_at_s = began_s + _CHECK_S
            self._check(watchers)
        count = began_s >= self._count_at_s
        if count:
            self._count_at_s = began_s + _COUNT_S
        names = {payload.partition(" ")[0] for payload in rung}
        if any(" " in payload for payload in rung):
            names.add(_A_RUN)
        concerned = [each for each in watchers if _concerns(each, names) or (poll and (count or _is_behind(each)))]
        if concerned and self._serve(concerned):
            self._poll_at_s = 0.0  #: some are behind: go on with them at once
        spent_s = time.monotonic() - began_s
        if concerned:
            metrics.HUB_SECONDS.observe(spent_s)
        self._over.wait(max(0.0, _ROUND_S - spent_s))

    def _serve(self, watchers: Sequence[Watcher]) -> bool:
        """Hand over what is new; whether somebody who reads has more to come."""
        able = [watcher for watcher in watchers if watcher.mailbox.room > 0]
        with transaction(self._engine) as session:
            news, runs_behind = serve_runs(session, [each for each in able if isinstance(each, RunWatcher)])
            self._deliver(news)
            news, news_behind = serve_news(session, [each for each in able if isinstance(each, NewsWatcher)])
            self._deliver(news)
            self._deliver(serve_inboxes(session, [each for each in able if isinstance(each, InboxWatcher)]))
        return runs_behind or news_behind

    def _check(self, watchers: Sequence[Watcher]) -> None:
        """End the streams of those who may not see them any more, and of runs that are no more."""
        with transaction(self._engine) as session:
            good = still_good(session, {watcher.identity.key_id for watcher in watchers})
            there = still_there(session, {each.run_id for each in watchers if isinstance(each, RunWatcher)})
            if any(isinstance(watcher, NewsWatcher) for watcher in watchers):
                metrics.STREAM_LAG_SECONDS.set(lag_s(session))
        lost = [
            watcher
            for watcher in watchers
            if watcher.identity.key_id not in good or (isinstance(watcher, RunWatcher) and watcher.run_id not in there)
        ]
        gone = frame("gone", {"detail": "The access to this stream has ended."})
        self._deliver([Delivery(watcher.mailbox, gone, last=True) for watcher in lost])
        for watcher in lost:
            self.forget(watcher)

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Wake each event loop once, with all that is for it."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_loop[delivery.mailbox.loop].append(delivery)
        for loop, mine in by_loop.items():
            try:
                loop.call_soon_threadsafe(_put_all, mine)
            except RuntimeError as error:  # the loop has ended, and its streams with it
                _log.info("a loop of streams has ended", error=str(error))


def _put_all(deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        if delivery.chunk:
            delivery.mailbox.put(delivery.chunk)
        if delivery.last:
            delivery.mailbox.close()


def _concerns(watcher: Watcher, rung: Collection[str]) -> bool:
    """Whether these rings concern it: of a run its watchers, of any run those of a project, of a person its inbox."""
    match watcher:
        case RunWatcher():
            return str(watcher.run_id) in rung
        case InboxWatcher():
            return str(watcher.identity.principal_id) in rung
        case NewsWatcher():
            return _A_RUN in rung


def _is_behind(watcher: Watcher) -> bool:
    """Whether it may be behind without a ring: a count is not taken again and again, as the places of events are."""
    return not isinstance(watcher, InboxWatcher) or watcher.place is None

"""The follower: finds out what is to be told, and calls workers when something is due. One follows at a time.

It lives in a thread beside the worker, reads what the runs have committed and touches nothing of theirs.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import psycopg2
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from services.notifier.announced import spread_announced
from services.notifier.digests import make_digests
from services.notifier.news import News
from services.notifier.quota import announce_quotas
from services.notifier.recognise import wanted_events
from services.notifier.ringing import ring
from services.notifier.spread import spread, understood, wanted_kinds
from shared.contracts.notices import BY_DEFAULT
from shared.db.listen import RUNS_CHANNEL, Listener
from shared.db.session import make_engine, transaction
from shared.queue.threads import keep_going
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_SELDOM_S = 30.0
_NOW = text("SELECT now()")


class Follower:
    """Follows on one connection, from its own place on."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._news = News()
        self._seldom_s = float("-inf")

    def once(self) -> None:
        """Tell all that can be told now."""
        while self._page():
            continue

    def _page(self) -> bool:
        """One commit. Whether there is more at once. What was read and not committed is read again."""
        with ExitStack() as undo:
            undo.callback(self._start_anew)
            with transaction(self._engine) as session:
                more = self._news.take(session) and self._tell(session)
            undo.pop_all()
        return more

    def _tell(self, session: Session) -> bool:
        if time.monotonic() >= self._seldom_s + _SELDOM_S:
            announce_quotas(session, self._settings)
            self._seldom_s = time.monotonic()
        kinds = wanted_kinds(session) | BY_DEFAULT
        events, more = self._news.read(session, *wanted_events(kinds))
        now = session.execute(_NOW).scalar_one()
        spread(session, [one for one in understood(events) if one.kind in kinds], now)
        some = spread_announced(session, now) + make_digests(session, now)  # of each only the first are looked at
        ring(session, self._settings.notify_lease_s)
        self._news.keep(session)
        return more or some > 0

    def _start_anew(self) -> None:
        self._news = News()


def following(engine: Engine, settings: Settings) -> Callable[[], None]:
    """For eager mode: one look from where the last one ended."""
    follower = Follower(engine, settings)
    follower.once()
    return follower.once


class FollowerThread(threading.Thread):
    """Follows until it is told to end; nothing that goes wrong ends it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="follower", daemon=True)
        self._settings = settings
        self._over = threading.Event()

    def run(self) -> None:
        """While the database is away it waits and goes on."""
        engine = make_engine(self._settings.database_url, pool_size=1, name="follower")
        follower = Follower(engine, self._settings)
        with Listener(self._settings.direct_url, (RUNS_CHANNEL,)) as listener:
            keep_going("follower", self._over, _round(follower, listener, self._settings.notify_poll_s))
        engine.dispose()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._over.set()


def _round(follower: Follower, listener: Listener, poll_s: float) -> Callable[[], Any]:
    def once() -> None:
        began_s = time.monotonic()
        follower.once()
        # news come in swarms: what comes within a tenth of the poll is one look
        time.sleep(max(0.0, poll_s / 10 - (time.monotonic() - began_s)))
        try:
            listener.wait(poll_s)
        except psycopg2.Error as error:
            _log.warning("nothing rings: the database is away", error=str(error)[:300])
            time.sleep(poll_s)

    return once

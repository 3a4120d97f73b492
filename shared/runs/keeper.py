"""Keeps a claim: renews the lease, carries news out, brings orders in. Two threads for all attempts of a process.

It is also the watchdog: what does not stop in its grace, outlives its hard limit or can no longer prove its claim is
killed, before the lease ends and somebody else may start.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.db.session import AWAY, Executes, autocommit, transaction
from shared.runs import sync
from shared.runs.beat import Beat
from shared.runs.reporter import News, RunReporter, StopReason
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_TICK_S = 0.05
_JOIN_S = 5.0
#: What a run tells is late by so much of its age, within these bounds: 0.1 s at first, `progress_interval_s` at last.
_OF_ITS_AGE, _LEAST_PAUSE_S = 0.01, 0.1
#: Of the time, at most so much is spent on writing progress: where the database is slow, it is asked less often.
_WRITING_SHARE = 0.05
_KEEPING = Beat("keeper", _TICK_S)
_FENCING = Beat("fence", _TICK_S)


@dataclass(frozen=True)
class Limits:
    """How long an attempt may take."""

    soft_s: float
    hard_s: float


class Keeper:
    """Context manager around the body of one attempt."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        run_id: UUID,
        attempt: int,
        reporter: RunReporter,
        limits: Limits,
        *,
        claimed_s: float,
        draining: Callable[[], bool],
        kill: Callable[[StopReason], None],
        mirror: Callable[[News], None],
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._run_id = run_id
        self._attempt = attempt
        self._reporter = reporter
        self._limits = limits
        self._draining = draining
        self._kill = kill
        self._mirror = mirror
        self._pending = News()
        self._began_s = self._renewed_s = self._told_s = claimed_s  #: read before the claim was sent
        self._asked_s = 0.0
        self._asked_for: StopReason | None = None
        self._killed = False
        self._writing_s = 0.0
        self._fence = _Fence(self)

    def __enter__(self) -> "Keeper":
        self._place = _KEEPING.join(self)
        self._fence_place = _FENCING.join(self._fence)
        return self

    def __exit__(self, *_exc: object) -> None:
        """A keeper that hangs in a silent database is left behind: its attempt is fenced."""
        _FENCING.leave(self._fence_place)
        _KEEPING.leave(self._place, _JOIN_S)

    @property
    def lease_ends_s(self) -> float:
        """On this process's monotonic clock, counted from before the renewal was sent: never later than the truth."""
        return self._renewed_s + self._settings.lease_s

    @property
    def fenced_s(self) -> float:
        """When a body whose lease is not renewed must be dead."""
        return self.lease_ends_s - self._settings.heartbeat_s / 2

    def unwritten(self) -> News:
        """News that the body's last words must carry, once the thread has ended."""
        return self._pending.followed_by(self._reporter.take())

    def beat(self) -> None:
        """One look. A keeper that fails itself must not leave the body unwatched."""
        well = False
        try:
            self._look()
            well = True
        finally:
            if not well:
                self.lose()

    def lose(self) -> None:
        """The claim can no longer be proven: kill the body."""
        self._reporter.request_stop("lost")
        self._kill("lost")

    def _look(self) -> None:
        now_s = time.monotonic()
        self._ask(now_s)
        since_told_s, since_renewed_s = now_s - self._told_s, now_s - self._renewed_s
        pause_s = pause_between(now_s - self._began_s, self._writing_s, self._settings.progress_interval_s)
        if since_told_s >= pause_s or since_renewed_s >= self._settings.heartbeat_s:
            self._exchange(now_s)
        self._watch(time.monotonic())

    def _ask(self, now_s: float) -> None:
        if self._draining():
            self._reporter.request_stop("preempt")
        if now_s - self._began_s >= self._limits.soft_s:
            self._reporter.request_stop("time_limit")

    def _exchange(self, now_s: float) -> None:
        """Write what is new and renew when due; while the database is away, both are tried again."""
        self._told_s = now_s
        news = self._reporter.take()
        self._pending = self._pending.followed_by(news)
        due = now_s - self._renewed_s >= self._settings.heartbeat_s
        if not due and not self._pending:
            return
        self._mirror(news)
        try:
            orders = self._write()
        except AWAY as error:
            _log.warning("the database is away; the lease is not renewed", error=str(error)[:300])
            return
        except SQLAlchemyError as error:
            _log.error("news that the database refuses are left out", exc_info=error)
            self._pending = News()
            return
        self._writing_s = time.monotonic() - now_s
        self._pending = News()
        if orders is None:
            self._reporter.request_stop("lost")
        else:
            self._renewed_s = now_s
            if orders.cancel:
                self._reporter.request_stop("cancel")
            elif orders.pause:
                self._reporter.request_stop("pause")

    def _write(self) -> sync.Orders | None:
        news, lease_s = self._pending, self._settings.lease_s
        with transaction(self._engine) if news.points or news.puts else autocommit(self._engine) as session:
            return write_news(session, self._run_id, self._attempt, news, lease_s)

    def _watch(self, now_s: float) -> None:
        reason = self._reporter.stop_reason
        if reason is None or self._killed:
            return
        if self._asked_for != reason:
            self._asked_s, self._asked_for = now_s, reason
            _log.info("the body is asked to stop", reason=reason)
        if now_s - self._asked_s >= self._grace_s(reason) or now_s - self._began_s >= self._limits.hard_s:
            self._killed = True
            _log.warning("the body is killed", reason=reason)
            self._kill(reason)

    def _grace_s(self, reason: StopReason) -> float:
        if reason in {"preempt", "pause"}:
            return self._settings.checkpoint_grace_s
        if reason == "time_limit":
            return self._limits.hard_s - self._limits.soft_s
        return 0.0 if reason == "lost" else self._settings.cancel_grace_s


def pause_between(age_s: float, writing_s: float, most_s: float) -> float:
    """Seconds between two times of telling: few for a young run, which somebody may watch, `most_s` for an old one.

    `writing_s` is how long the last write took; a slow database outweighs all.
    """
    return max(min(max(_LEAST_PAUSE_S, _OF_ITS_AGE * age_s), most_s), writing_s / _WRITING_SHARE)


class _Fence:
    """Without a word to the database, which may be what hangs: kills the body before the lease ends."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._fallen = False

    def beat(self) -> None:
        """One look."""
        if not self._fallen and time.monotonic() >= self._keeper.fenced_s:
            self._fallen = True
            self._keeper.lose()


def write_news(session: Executes, run_id: UUID, attempt: int, news: News, lease_s: float) -> sync.Orders | None:
    """Renew the lease and write a batch. None: the claim is lost, nothing of it counts."""
    orders = sync.renew(session, run_id, attempt, lease_s, news.progress)
    if orders is None or (news.points and not sync.add_metrics(session, run_id, attempt, news.points)):
        return None
    return orders if not news.puts or sync.add_files(session, run_id, attempt, news.puts) else None

"""What the dispatcher and the reconciler share: one loop that ends on SIGTERM and outlives an outage; passes of it."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType

import psycopg2
import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.db.leader import Leader
from shared.db.revision import check_revision
from shared.db.session import make_engine
from shared.errors import FaultlineError, Retryable
from shared.observability import metrics
from shared.observability.logs import setup_logging
from shared.observability.tracing import start_tracing
from shared.settings import Settings, load_settings

_log = structlog.get_logger(__name__)
_OUTAGE_S = 1.0


def start(service: str) -> tuple[Settings, threading.Event]:
    """Settings, logs, traces, metrics; the event is set when the process is to end."""
    try:
        settings = load_settings()
        setup_logging(service, settings.log_level)
        start_tracing(service)
        check_revision(make_engine(settings.database_url, pooled=False))
    except FaultlineError as error:
        sys.exit(f"{error.message} {error.remedy}")
    metrics.serve_metrics(settings.metrics_port)
    over = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        over.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _log.info("started")
    return settings, over


def loop(over: threading.Event, once: Callable[[], None]) -> None:
    """Call `once` until the end; while a dependency is away, wait and go on."""
    while not over.is_set():
        try:
            once()
        except (SQLAlchemyError, psycopg2.Error, Retryable) as error:
            _log.warning("a dependency is away", error=str(error)[:300])
            over.wait(_OUTAGE_S)
    _log.info("ended")


@dataclass(frozen=True)
class Pass:
    """One thing that is done again and again."""

    name: str
    act: Callable[[], object]
    every_s: float
    leader_only: bool = False  #: one process at a time does it


class Passes:
    """Does what is due, each on its own: what fails is logged and tried again, and the others go on."""

    def __init__(self, passes: Sequence[Pass], leader: Leader) -> None:
        self._passes = passes
        self._leader = leader
        now_s = time.monotonic()
        self._tried_s = dict.fromkeys((item.name for item in passes), float("-inf"))
        self._done_s = dict.fromkeys((item.name for item in passes), now_s)
        for item in passes:
            metrics.PASS_AGE_SECONDS.labels(item.name).set_function(partial(self.age_s, item.name))

    def age_s(self, name: str) -> float:
        """Seconds since a pass last went through here, or was last left to the leader."""
        return time.monotonic() - self._done_s[name]

    def once(self) -> None:
        """Do what is due."""
        leads = self._leader.held()
        metrics.LEADER.set(leads)
        for item in self._passes:
            if time.monotonic() - self._tried_s[item.name] >= item.every_s:
                self._tried_s[item.name] = time.monotonic()
                if leads or not item.leader_only:
                    self._do(item)
                else:
                    self._done_s[item.name] = time.monotonic()

    def _do(self, item: Pass) -> None:
        try:
            item.act()
        except (SQLAlchemyError, psycopg2.Error, Retryable) as error:
            _log.warning("a pass waits: a dependency is away", which=item.name, error=str(error)[:300])
        except Exception:  # noqa: BLE001 - the boundary: one pass must not stop the others
            _log.exception("a pass failed", which=item.name)
        else:
            self._done_s[item.name] = time.monotonic()

"""What the dispatcher and the reconciler share: one loop that ends on SIGTERM and outlives an outage."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import psycopg2
import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.db.migrate import check_revision
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

"""Threads that live beside the work of a process and that nothing may end."""

import threading
from collections.abc import Callable

import psycopg2
import structlog

from shared.db.session import AWAY
from shared.errors import Retryable
from shared.observability import metrics

_log = structlog.get_logger(__name__)
_OUTAGE_S = 1.0
_LONGEST_PAUSE_S = 30.0


def keep_going(name: str, over: threading.Event, once: Callable[[], None]) -> None:
    """Call `once` until the end, in a thread that nothing may end: what is not foreseen is logged and counted.

    The pauses grow up to half a minute while it fails again and again.
    """
    pause_s = _OUTAGE_S
    while not over.is_set():
        try:
            once()
            pause_s = _OUTAGE_S
        except (*AWAY, psycopg2.OperationalError, psycopg2.InterfaceError, Retryable) as error:
            _log.warning("a dependency is away", thread=name, error=str(error)[:300])
            over.wait(_OUTAGE_S)
        except Exception:  # noqa: BLE001 - the boundary of a thread
            metrics.THREAD_FAILURES.labels(name).inc()
            _log.exception("failed and goes on", thread=name, pause_s=pause_s)
            over.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

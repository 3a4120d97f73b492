"""A worker: `run_worker` is all that a service's entry calls.

The main process consumes, registers the worker and serves `/metrics`; its children run the tasks. On SIGTERM the
main process stops consuming and tells its children through the lifeline to release their runs; it exits when they
have. A child dies with its main process.
"""

import logging
import os
import socket
import sys
import threading
import time
from typing import Any

import structlog
from celery import signals
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.db.migrate import check_revision
from shared.db.session import make_engine, transaction
from shared.errors import UserError
from shared.observability import metrics
from shared.observability.logs import setup_logging
from shared.observability.tracing import start_tracing
from shared.queue.app import STEPS_QUEUE, Holder, make_app
from shared.queue.registry import RUN_BODIES
from shared.queue.runtime import Lifeline, make_runtime
from shared.queue.trainer import die_with_parent
from shared.settings import Settings, load_settings
from shared.version import VERSION

_log = structlog.get_logger(__name__)
_LEAVE_S = 5.0
_REGISTER = text(
    """
    INSERT INTO workers (name, pools, kinds, slots, host, pid, version, draining, clock_ahead_s)
    VALUES (:name, :pools, :kinds, :slots, :host, :pid, :version, :draining,
        :clock - extract(epoch FROM clock_timestamp()))
    ON CONFLICT (name) DO UPDATE SET pools = excluded.pools, kinds = excluded.kinds,
        clock_ahead_s = excluded.clock_ahead_s,
        slots = excluded.slots, host = excluded.host, version = excluded.version, draining = excluded.draining,
        heartbeat_at = now(),
        started_at = CASE WHEN workers.pid = excluded.pid THEN workers.started_at ELSE now() END, pid = excluded.pid
    """
)
_WAKE = text("SELECT pg_notify('faultline_runs', 'worker')")
_LEAVE = text("DELETE FROM workers WHERE name = :name AND pid = :pid")


class Registration(threading.Thread):
    """Says in the database that this worker lives, what it serves, and when it leaves."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__(name="registration", daemon=True)
        self._engine = engine
        self._settings = settings
        self._over = threading.Event()
        self._wake = threading.Event()
        self.registered = threading.Event()
        self.draining = False

    def run(self) -> None:
        """Until left; an unreachable database is tried again at the next beat."""
        while not self._over.is_set():
            try:
                with transaction(self._engine) as session:
                    session.execute(_REGISTER, self._row())
                    session.execute(_WAKE)
                self.registered.set()
            except SQLAlchemyError as error:
                _log.warning("the worker could not register", error=str(error)[:300])
            self._wake.wait(self._settings.heartbeat_s)
            self._wake.clear()

    def drain(self) -> None:
        """Announce at once that nothing more should be sent."""
        self.draining = True
        self._wake.set()

    def leave(self) -> None:
        """The worker ends in order."""
        self._over.set()
        self._wake.set()
        self.join(_LEAVE_S)
        try:
            with transaction(self._engine) as session:
                session.execute(_LEAVE, {"name": self._settings.worker_name, "pid": os.getpid()})
        except SQLAlchemyError as error:
            _log.warning("the worker could not sign off; it counts as lost after a lease", error=str(error)[:300])

    def _row(self) -> dict[str, Any]:
        return {
            "name": self._settings.worker_name,
            "pools": list(self._settings.worker_pools),
            "kinds": sorted(RUN_BODIES),
            "slots": self._settings.worker_slots,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": VERSION,
            "draining": self.draining,
            "clock": time.time(),
        }


def run_worker(service: str, modules: list[str], *, steps: bool = False) -> None:
    """Serve the pools of the settings with the tasks of `modules`, and steps if asked, until told to end."""
    try:
        settings = load_settings()
        if not settings.worker_pools:
            raise UserError("FAULTLINE_WORKER_POOLS is empty.", remedy='Name pools, e.g. ["generation"].')
    except UserError as error:
        sys.exit(f"{error.message} {error.remedy}")
    metrics.start_metrics_folder()
    setup_logging(service, settings.log_level)
    engine = make_engine(settings.database_url, pooled=False)
    check_revision(engine)
    holder = Holder()
    app = make_app(settings, modules, holder)
    registration = Registration(engine, settings)
    _connect(service, settings, holder, registration, Lifeline())
    _log.info("worker starts", pools=settings.worker_pools, slots=settings.worker_slots)
    app.worker_main(_arguments(settings, steps))


def _arguments(settings: Settings, steps: bool) -> list[str]:
    queues = [*settings.worker_pools, *([STEPS_QUEUE] if steps else [])]
    return [
        "--quiet",
        "worker",
        f"--hostname={settings.worker_name}@{socket.gethostname()}",
        f"--concurrency={settings.worker_slots}",
        f"--queues={','.join(queues)}",
        f"--loglevel={settings.log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "-Ofair",
    ]


def _connect(service: str, settings: Settings, holder: Holder, registration: Registration, lifeline: Lifeline) -> None:
    """Tie the worker's life to Celery's signals."""
    main = os.getpid()

    def configure_logging(**_signal: Any) -> None:
        logging.getLogger("celery").setLevel(settings.log_level)

    def child_starts(**_signal: Any) -> None:
        die_with_parent(main)
        lifeline.adopt()
        start_tracing(service)
        holder.runtime = make_runtime(settings, service, lifeline)
        holder.runtime.trainers.get_ready()

    def child_ends(pid: int | None = None, **_signal: Any) -> None:
        metrics.forget_process(pid or os.getpid())
        if holder.runtime is not None:
            holder.runtime.close()

    def ready(**_signal: Any) -> None:
        registration.start()
        registration.registered.wait(_LEAVE_S)
        metrics.serve_metrics(settings.metrics_port)
        _log.info("worker is ready", worker=settings.worker_name)

    def leaving(**_signal: Any) -> None:
        lifeline.drain()
        registration.drain()

    def left(**_signal: Any) -> None:
        registration.leave()

    signals.setup_logging.connect(configure_logging, weak=False)
    signals.worker_process_init.connect(child_starts, weak=False)
    signals.worker_process_shutdown.connect(child_ends, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(leaving, weak=False)
    signals.worker_shutdown.connect(left, weak=False)

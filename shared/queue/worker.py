"""A worker: `run_worker` is all that a service's entry calls.

The main process consumes, registers the worker and serves `/metrics`; its children run the tasks. On SIGTERM the
main process stops consuming and tells its children through the lifeline to release their runs; it exits when they
have. A child dies with its main process.
"""

import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from celery import signals

from shared.db.revision import check_revision
from shared.db.session import make_engine
from shared.errors import UserError
from shared.observability import metrics
from shared.observability.logs import setup_logging
from shared.observability.tracing import start_tracing
from shared.queue.app import Holder, make_app
from shared.queue.registration import Registration, heed_drain
from shared.queue.runtime import Lifeline, make_runtime
from shared.queue.trainer import die_with_parent
from shared.queue.workdir import remove_leftovers
from shared.settings import Settings, load_settings

_log = structlog.get_logger(__name__)
_LEAVE_S = 5.0
#: Celery's lines on each task received and done say less than our own of the same moments.
_TWICE_TOLD = ("celery.worker.strategy", "celery.app.trace")


class Beside(Protocol):
    """A thread of the main process that lives as long as the worker serves."""

    def start(self) -> None:
        """The worker is ready."""

    def stop(self) -> None:
        """The worker is about to leave."""


def run_worker(
    service: str,
    modules: list[str],
    *,
    steps: Sequence[str] = (),
    beside: Callable[[Settings], Beside] | None = None,
) -> None:
    """Serve the pools of the settings with the tasks of `modules`, and these queues of steps, until told to end."""
    try:
        settings = load_settings()
        if not settings.worker_pools and not steps:
            raise UserError("FAULTLINE_WORKER_POOLS is empty.", remedy='Name pools, e.g. ["generation"].')
        metrics.start_metrics_folder()
        setup_logging(service, settings.log_level)
        engine = make_engine(settings.database_url, pooled=False)
        check_revision(engine)
        holder = Holder()
        app = make_app(settings, modules, holder)
        registration = Registration(engine, settings)
        registration.take_name()
    except UserError as error:
        sys.exit(f"{error.message} {error.remedy}")
    if left := remove_leftovers(settings):
        _log.warning("folders of attempts that were killed are removed", folders=left)
    heed_drain(app, registration, _queues(settings, steps))
    _connect(service, settings, holder, registration, Lifeline(), beside(settings) if beside else None)
    _log.info("worker starts", pools=settings.worker_pools, slots=settings.worker_slots)
    gc.freeze()  # what is loaded by now stays: no collection has to look at it, and children share its memory
    app.worker_main(_arguments(settings, steps))


def _queues(settings: Settings, steps: Sequence[str]) -> list[str]:
    return [*settings.worker_pools, *steps]


def _arguments(settings: Settings, steps: Sequence[str]) -> list[str]:
    return [
        "--quiet",
        "worker",
        f"--hostname={settings.worker_name}@{socket.gethostname()}",
        f"--concurrency={settings.worker_slots}",
        f"--queues={','.join(_queues(settings, steps))}",
        f"--loglevel={settings.log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "-Ofair",
    ]


def _connect(
    service: str,
    settings: Settings,
    holder: Holder,
    registration: Registration,
    lifeline: Lifeline,
    beside: Beside | None,
) -> None:
    """Tie the worker's life to Celery's signals."""
    main = os.getpid()

    def configure_logging(**_signal: Any) -> None:
        logging.getLogger("celery").setLevel(settings.log_level)
        for name in _TWICE_TOLD:
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger("celery").level))

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
        if beside is not None:
            beside.start()
        _log.info("worker is ready", worker=settings.worker_name)

    def leaving(**_signal: Any) -> None:
        lifeline.drain()
        registration.drain()
        if beside is not None:
            beside.stop()

    def left(**_signal: Any) -> None:
        registration.leave()

    signals.setup_logging.connect(configure_logging, weak=False)
    signals.worker_process_init.connect(child_starts, weak=False)
    signals.worker_process_shutdown.connect(child_ends, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(leaving, weak=False)
    signals.worker_shutdown.connect(left, weak=False)

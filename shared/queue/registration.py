"""A worker's row: its name is its own while it lives, its heartbeat says so, and what people ask of it comes back."""

import os
import platform
import signal
import socket
import threading
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
import structlog
from celery import Celery, bootsteps
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.db.listen import RUNS_CHANNEL
from shared.db.session import transaction
from shared.errors import Conflict
from shared.queue.processes import exists
from shared.queue.registry import RUN_BODIES
from shared.queue.workdir import remove_leftovers
from shared.settings import Settings
from shared.version import VERSION

_log = structlog.get_logger(__name__)
_LEAVE_S = 5.0
#: How often the consuming thread looks whether it is to consume; Celery's loop fires no timer more often.
_LOOK_S = 1.0
_WRITE = """
    INSERT INTO workers (name, pools, kinds, slots, host, pid, version, versions, draining, clock_ahead_s)
    VALUES (:name, :pools, :kinds, :slots, :host, :pid, :version, CAST(:versions AS jsonb), :draining,
        :clock - extract(epoch FROM clock_timestamp()))
    ON CONFLICT (name) DO UPDATE SET pools = excluded.pools, kinds = excluded.kinds, slots = excluded.slots,
        host = excluded.host, pid = excluded.pid, version = excluded.version, versions = excluded.versions,
        draining = excluded.draining, clock_ahead_s = excluded.clock_ahead_s, heartbeat_at = now()
"""
_OURS = "workers.host = excluded.host AND workers.pid = excluded.pid"
_TAKE = text(
    f"""{_WRITE}, started_at = now(), drain_requested_at = NULL
    WHERE ({_OURS}) OR (workers.host = excluded.host AND workers.pid = :dead_pid)
        OR workers.heartbeat_at < now() - make_interval(secs => :lease_s)
    RETURNING name
    """
)
_BEAT = text(f"{_WRITE} WHERE {_OURS} RETURNING drain_requested_at")
_HOLDER = text("SELECT host, pid FROM workers WHERE name = :name")
_WAKE = text(f"SELECT pg_notify('{RUNS_CHANNEL}', 'worker')")
_LEAVE = text("DELETE FROM workers WHERE name = :name AND host = :host AND pid = :pid")


def versions() -> dict[str, str]:
    """What this worker runs on, without importing any of it."""
    found = {"faultline": VERSION, "python": platform.python_version()}
    for package in ("celery", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class Registration(threading.Thread):
    """Says in the database that this worker lives, what it serves, and when it leaves."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__(name="registration", daemon=True)
        self._engine = engine
        self._settings = settings
        self._versions = orjson.dumps(versions()).decode()
        self._over = threading.Event()
        self._wake = threading.Event()
        self._told: bool | None = None
        self.registered = threading.Event()
        self.leaving = False
        self.drain_asked = False  #: somebody asked this worker to take nothing new
        self.consuming = True  #: set by the thread that consumes

    def take_name(self) -> None:
        """Before anything is consumed: the name is this process's from now on. Raises `Conflict` while it is another's.

        A row of a process of this host that is gone, or without a heartbeat for a lease, is taken over.
        """
        with transaction(self._engine) as session:
            holder = session.execute(_HOLDER, {"name": self._settings.worker_name}).one_or_none()
            gone = holder is not None and holder.host == socket.gethostname() and not exists(holder.pid)
            values = self._row() | {
                "draining": True,
                "dead_pid": holder.pid if holder is not None and gone else 0,
                "lease_s": self._settings.lease_s,
            }
            if session.execute(_TAKE, values).one_or_none() is None:
                where = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
                raise Conflict(
                    f"A worker named {self._settings.worker_name!r} is alive already: {where}.",
                    remedy="Give this one another FAULTLINE_WORKER_NAME, or end the other first.",
                )

    def run(self) -> None:
        """Until left. An unreachable database is tried again at the next beat; a beat that hangs in one that says
        nothing is left behind after a lease, for no time-out of the server reaches it.
        """
        while not self._over.is_set():
            beat = threading.Thread(target=self._beat, name="beat", daemon=True)
            beat.start()
            beat.join(self._settings.lease_s)
            if beat.is_alive():
                _log.warning("the database says nothing; a beat of the worker is left behind")
            self._tidy()
            self._wake.wait(self._settings.heartbeat_s)
            self._wake.clear()

    def _tidy(self) -> None:
        """Remove the scratch of pool children that were killed; a trainer may have written on for a moment."""
        try:
            remove_leftovers(self._settings)
        except OSError as error:
            _log.warning("leftovers of killed attempts could not be looked for", error=str(error))

    def _beat(self) -> None:
        try:
            with transaction(self._engine) as session:
                self._tell(session)
        except SQLAlchemyError as error:
            _log.warning("the worker could not register", error=str(error)[:300])

    def _tell(self, session: Session) -> None:
        row = self._row()
        held = session.execute(_BEAT, row).one_or_none()
        if held is None:
            _log.error("another process has this worker's name: this one ends", worker=row["name"])
            self._over.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.drain_asked = held.drain_requested_at is not None
        if self._told != row["draining"]:
            session.execute(_WAKE)
            self._told = row["draining"]
        self.registered.set()

    def drain(self) -> None:
        """This process ends: announce at once that nothing more should be sent."""
        self.leaving = True
        self._wake.set()

    def consumes(self, consuming: bool) -> None:
        """Said by the thread that consumes when that has changed."""
        self.consuming = consuming
        self._wake.set()

    def leave(self) -> None:
        """The worker ends in order."""
        self._over.set()
        self._wake.set()
        self.join(_LEAVE_S)
        row = self._row()
        try:
            with transaction(self._engine) as session:
                session.execute(_LEAVE, {"name": row["name"], "host": row["host"], "pid": row["pid"]})
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
            "versions": self._versions,
            "draining": self.leaving or not self.consuming,
            "clock": time.time(),
        }


def heed_drain(app: Celery, registration: Registration, queues: Sequence[str]) -> None:
    """Let the thread that consumes stop taking messages while somebody wants the worker drained, and go on after.

    A step of the consumer, so that it is there again after each reconnection to the broker.
    """

    class HeedDrain(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            consumer.timer.call_repeatedly(_LOOK_S, look, (consumer,))

    def look(consumer: Any) -> None:
        consuming = not registration.drain_asked
        for queue in queues:
            if consuming and not consumer.task_consumer.consuming_from(queue):
                consumer.add_task_queue(queue)
            elif not consuming and consumer.task_consumer.consuming_from(queue):
                consumer.cancel_task_queue(queue)
        if registration.consuming != consuming:
            _log.info("the worker takes work again" if consuming else "the worker takes nothing new: it is drained")
            registration.consumes(consuming)

    app.steps["consumer"].add(HeedDrain)

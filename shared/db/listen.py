"""Waits for NOTIFY: the doorbell between processes. What happened is read from rows; a lost ring costs one poll."""

import os
import select
import threading
from types import TracebackType

import psycopg2
import psycopg2.extensions
from sqlalchemy.engine import make_url

RUNS_CHANNEL = "faultline_runs"  #: payload `<run id> <seq> <state> <pool>`
OUTBOX_CHANNEL = "faultline_outbox"
INBOX_CHANNEL = "faultline_inbox"  #: payload `<principal id>`


class Listener:
    """One connection that listens on channels; reconnects by itself."""

    def __init__(self, direct_url: str, channels: tuple[str, ...]) -> None:
        self._dsn = make_url(direct_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channels = channels
        self._connection: psycopg2.extensions.connection | None = None
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closing = threading.Lock()
        self._closed = False

    def __enter__(self) -> "Listener":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        with self._closing:
            self._closed = True
            os.close(self._bell)

    def ring(self) -> None:
        """From any thread: let `wait` return at once. Nobody hears it after the end."""
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._bell, 1)

    def wait(self, timeout_s: float) -> list[str]:
        """Payloads that came, after at most `timeout_s` or a `ring`. Raises `psycopg2.Error` without a server."""
        try:
            connection = self._connected()
            if not connection.notifies:
                waiting = select.poll()  # select() knows no descriptor beyond 1023
                waiting.register(connection, select.POLLIN)
                waiting.register(self._bell, select.POLLIN)
                if any(fd == self._bell for fd, _ in waiting.poll(timeout_s * 1000)):
                    os.eventfd_read(self._bell)
            connection.poll()
        except psycopg2.Error:
            self._close()
            raise
        payloads = [notify.payload for notify in connection.notifies]
        connection.notifies.clear()
        return payloads

    def _connected(self) -> psycopg2.extensions.connection:
        if self._connection is None:
            self._connection = psycopg2.connect(self._dsn, connect_timeout=5, application_name="faultline listener")
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                for channel in self._channels:
                    cursor.execute(f"LISTEN {channel}")
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

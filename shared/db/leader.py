"""One of many: a session lock on the direct connection says who acts. It ends with its process or its connection."""

import psycopg2
import psycopg2.extensions
import structlog
from sqlalchemy.engine import make_url

from shared.db.session import GONE

_log = structlog.get_logger(__name__)


class Leader:
    """Ask `held` before each act, more often than every `timeout_s`: who stands still for so long is replaced."""

    def __init__(self, direct_url: str, key: int, timeout_s: float) -> None:
        self._dsn = make_url(direct_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._key = key
        self._options = f"-c idle_session_timeout={int(timeout_s * 1000)} {GONE}"
        self._connection: psycopg2.extensions.connection | None = None
        self._held = False

    def held(self) -> bool:
        """Whether this process leads now; it tries to. False while the server is away."""
        before = self._held
        try:
            self._held = self._ask()
        except psycopg2.Error as error:
            _log.warning("who leads cannot be asked", error=str(error)[:300])
            self.resign()
        if self._held != before:
            _log.info("this process leads" if self._held else "this process leads no longer")
        return self._held

    def resign(self) -> None:
        """Let another lead."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._held = None, False

    def _ask(self) -> bool:
        if self._connection is None:
            self._held = False
            self._connection = psycopg2.connect(
                self._dsn, connect_timeout=5, application_name="faultline leader", options=self._options
            )
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT %s OR pg_try_advisory_lock(%s)", (self._held, self._key))
            row = cursor.fetchone()
        return bool(row and row[0])

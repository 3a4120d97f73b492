"""Engines and transactions: the only place that commits."""

import itertools
import re
import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import orjson
import psycopg2
from psycopg2.extras import NamedTupleCursor
from sqlalchemy import Engine, TextClause, create_engine, event, text
from sqlalchemy.dialects.postgresql.psycopg2 import dialect as psycopg2_dialect
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

#: A client that vanished in a transaction must not keep its locks; the server's default is two hours.
GONE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 -c tcp_user_timeout=15000"


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def make_engine(
    url: str,
    *,
    pool_size: int = 5,
    pooled: bool = True,
    lock_timeout_s: float = 15.0,
    idle_limit_s: float = 15.0,
    prepares: bool = False,
    name: str = "",
) -> Engine:
    """An engine whose connections give up instead of hanging on a dead network or a lock.

    `idle_limit_s`: a process that stands still inside a transaction loses its locks after so long. `prepares`: whether
    `Statements` may leave prepared statements in a connection, which a pooler in between would lose. `name`: of the
    process, for those who look at the server's connections.
    """
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0} if pooled else {}
    engine = create_engine(
        url,
        poolclass=None if pooled else NullPool,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "application_name": f"faultline {name}".strip(),
            "options": f"-c lock_timeout={int(lock_timeout_s * 1000)} -c timezone=UTC "
            f"-c idle_in_transaction_session_timeout={int(idle_limit_s * 1000)} {GONE}"
            f"{' -c plan_cache_mode=force_generic_plan' if prepares else ''}",
        },
        **options,
    )
    if pooled:
        event.listen(engine, "checkout", _check_alive)
    if prepares:
        event.listen(engine, "connect", _remember_prepared)
    return engine


#: A connection unused for so long is asked whether it lives: something between may have forgotten it.
_FORGOTTEN_S = 5.0


def _check_alive(connection: Any, record: Any, _fairy: Any) -> None:
    """Before each use. An idle connection says nothing unless it says goodbye, so only one that speaks, or was idle for
    long, is asked. A new one never is: after two that fail here the pool gives up with an error that is not AWAY.
    """
    used_s, now_s = record.info.get("used_s"), time.monotonic()
    speaks = select.poll()
    speaks.register(connection.fileno(), select.POLLIN)
    if used_s is not None and (now_s - used_s > _FORGOTTEN_S or speaks.poll(0)):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.rollback()
        except psycopg2.Error as error:
            raise InvalidatePoolError from error
    record.info["used_s"] = now_s


def _remember_prepared(_connection: Any, record: Any) -> None:
    record.info["prepared"] = set()


#: Trying again may help; any other error of the database says that what is written is wrong.
AWAY = (OperationalError, InterfaceError, PoolTimeout)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on any exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


class Executes(Protocol):
    """What plain SQL needs: a `Session`, or the lighter `Statements`."""

    def execute(self, statement: Any, params: Any = None, /) -> Any:
        """Run a statement."""


class _Rows:
    """The part of SQLAlchemy's `Result` that plain SQL needs."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def mappings(self) -> "_Rows":
        return _Rows([row._asdict() for row in self._rows])

    def all(self) -> list[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> Any:
        (row,) = self._rows or [None]
        return row

    def one(self) -> Any:
        (row,) = self._rows
        return row

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None


class Statements:
    """Runs `text()` statements on the driver itself, prepared where `prepared` says which are: a third of a session's
    price, and the server plans each statement once.
    """

    def __init__(self, connection: Any, prepared: set[str] | None) -> None:
        self._connection = connection
        self._prepared = prepared

    def execute(self, statement: TextClause, params: Mapping[str, Any] | None = None, /) -> _Rows:
        """Run a statement; its rows are fetched."""
        forms = _forms(statement.text)
        with self._connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
            if self._prepared is None:
                cursor.execute(forms.plain, params)
            else:
                if forms.name not in self._prepared:
                    cursor.execute(forms.prepare)
                    self._prepared.add(forms.name)
                cursor.execute(forms.execute, params)
            return _Rows(cursor.fetchall() if cursor.description else [])


class _Forms(NamedTuple):
    """One statement as the driver takes it."""

    plain: str
    name: str
    prepare: str
    execute: str


@lru_cache(maxsize=256)
def _forms(sql: str) -> _Forms:
    """By what is said and not by the object: a statement that is put together anew each time is prepared once."""
    plain = str(text(sql).compile(dialect=psycopg2_dialect()))  # type: ignore[no-untyped-call]
    params = list(dict.fromkeys(_PARAM.findall(plain)))
    name = f"faultline_{next(_NUMBERS)}"
    numbered = _PARAM.sub(lambda found: f"${params.index(found[1]) + 1}", plain).replace("%%", "%")
    given = f"({', '.join(f'%({param})s' for param in params)})" if params else ""
    return _Forms(plain, name, f"PREPARE {name} AS {numbered}", f"EXECUTE {name} {given}")


_PARAM = re.compile(r"%\((\w+)\)s")
_NUMBERS = itertools.count()


@contextmanager
def autocommit(engine: Engine) -> Iterator[Statements]:
    """For the hottest writes, of one statement each: every statement is a transaction and one round trip.

    Raises what a session would.
    """
    with _lent(engine) as (connection, prepared):
        connection.autocommit = True
        try:
            yield Statements(connection, prepared)
        finally:
            if not connection.closed:
                connection.autocommit = False


@contextmanager
def statements(engine: Engine) -> Iterator[Statements]:
    """One transaction like `transaction`, for plain SQL in a hot path. Raises what a session would."""
    with _lent(engine) as (connection, prepared):
        yield Statements(connection, prepared)
        connection.commit()


@contextmanager
def _lent(engine: Engine) -> Iterator[tuple[Any, set[str] | None]]:
    """A connection of the pool, rolled back when it goes home, and which statements are prepared in it."""
    fairy = engine.raw_connection()
    connection = fairy.driver_connection
    assert connection is not None
    try:
        yield connection, fairy.info.get("prepared")
    except psycopg2.Error as error:
        gone = engine.dialect.is_disconnect(error, connection, None)  # type: ignore[arg-type]
        if gone:
            fairy.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, psycopg2.Error, connection_invalidated=gone, dialect=engine.dialect
        ) from error
    finally:
        fairy.close()

"""Engines and transactions: the only place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import InterfaceError, OperationalError
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
    ping: bool = True,
    lock_timeout_s: float = 15.0,
    idle_limit_s: float = 15.0,
    name: str = "",
) -> Engine:
    """An engine whose connections give up instead of hanging on a dead network or a lock.

    `idle_limit_s`: a process that stands still inside a transaction loses its locks after so long. `ping`: whether a
    connection is tried before each use; a loop that tries again anyway need not pay for it. `name`: of the process,
    for those who look at the server's connections.
    """
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_pre_ping": ping} if pooled else {}
    return create_engine(
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
            f"-c idle_in_transaction_session_timeout={int(idle_limit_s * 1000)} {GONE}",
        },
        **options,
    )


#: Trying again may help; any other error of the database says that what is written is wrong.
AWAY = (OperationalError, InterfaceError, PoolTimeout)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on any exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session

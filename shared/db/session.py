"""Engines and transactions: the only place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def make_engine(url: str, *, pool_size: int = 5, pooled: bool = True, lock_timeout_s: float = 15.0) -> Engine:
    """An engine whose connections give up instead of hanging on a dead network or a lock."""
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_pre_ping": True} if pooled else {}
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
            "application_name": "faultline",
            "options": f"-c lock_timeout={int(lock_timeout_s * 1000)} -c timezone=UTC",
        },
        **options,
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on any exception."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session

"""Servers of a test's own, which it may stop and break; the shared ones must survive every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from services.cli.stack.engines import postgres_engine, valkey_engine
from tests.support.proxy import Proxy, proxied
from tests.support.servers import Server, serving

#: `make chaos` sets it: outages last as long as in the promise, not only as long as it takes to see them.
LONG = os.environ.get("CHAOS") == "long"


@pytest.fixture
def outage_s() -> float:
    """How long a server stays away."""
    return 60.0 if LONG else 10.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    """A broker that keeps nothing over a restart."""
    with serving(valkey_engine(tmp_path / "valkey", durable=False)) as server:
        yield server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Server]:
    """A database server that may be restarted."""
    with serving(postgres_engine(tmp_path / "postgres", durable=False)) as server:
        yield server


@pytest.fixture
def broker_proxy(broker: Server) -> Iterator[Proxy]:
    """Stands before `broker`; its URL is `redis://127.0.0.1:<port>`."""
    with proxied(broker.socket) as proxy:
        yield proxy


@pytest.fixture
def database_proxy(postgres_url: str) -> Iterator[Proxy]:
    """Stands before the shared database server, for the one process that is given its URL."""
    folder = make_url(postgres_url).query["host"]
    with proxied(Path(str(folder)) / ".s.PGSQL.5432") as proxy:
        yield proxy

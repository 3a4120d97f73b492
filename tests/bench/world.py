"""Where benchmarks run: one durable Postgres and one Valkey with its append-only file, as `faultline up` runs them; a
database of its own for each benchmark; processes that end with it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import redis
from sqlalchemy.engine import make_url

from services.api.bootstrap import grant
from services.cli.stack.engines import postgres, valkey
from shared.db.migrate import upgrade
from shared.db.session import make_engine, transaction
from shared.runs.submit import Caller
from tests.support.databases import create_database
from tests.support.platform import API_KEY, ROOT, Platform, environment_for, settings_from

#: The settings of a production platform that matter for speed; pools: one for the benchmarks.
STEADY = {
    "FAULTLINE_HEARTBEAT_S": "5",
    "FAULTLINE_LEASE_S": "30",
    "FAULTLINE_DISPATCH_TIMEOUT_S": "15",
    "FAULTLINE_DISPATCH_POLL_S": "1",
    "FAULTLINE_REAPER_INTERVAL_S": "1",
    "FAULTLINE_EAGER_TASK_MODULES": '["tests.bench.kinds"]',
}
#: Read by default: what tests make faster than production.
_UNSET = ("FAULTLINE_PROGRESS_INTERVAL_S",)


@dataclass(frozen=True)
class Size:
    """How much is measured in each repeat."""

    tasks: int = 600
    starts: int = 100
    starts_per_s: float = 25.0
    seconds: float = 2.0
    fixed_s: float = 6.0
    watchers: int = 500
    reporting: int = 1000
    listed: int = 100_000
    dispatched: int = 1000
    boots: int = 1
    trials: int = 320
    histories: tuple[int, ...] = (10, 100, 1000)


QUICK = Size(
    tasks=8,
    starts=5,
    starts_per_s=20.0,
    seconds=0.3,
    fixed_s=0.3,
    watchers=5,
    reporting=5,
    listed=200,
    dispatched=30,
    trials=8,
    histories=(10, 100, 1000),
)


@dataclass
class World:
    """Engines, and what is started on them."""

    folder: Path
    postgres_url: str
    broker_url: str
    template: str
    redis: "redis.Redis" = field(init=False)

    def __post_init__(self) -> None:
        self.redis = redis.Redis(unix_socket_path=urlsplit(self.broker_url).path)

    def database(self) -> str:
        """A fresh database with the tables, a project and a key."""
        return create_database(self.postgres_url, self.template)

    @contextmanager
    def platform(self, *, lead: int = 1, **environment: str) -> Iterator[Platform]:
        """A platform with one pool `bench` of that lead; its processes end with the block."""
        folder = self.folder / uuid4().hex[:8]
        folder.mkdir()
        pools = json.dumps([{"name": "bench", "lead": lead}])
        database = environment.pop("FAULTLINE_DATABASE_URL", "") or self.database()
        values = environment_for(folder, database, self.broker_url, FAULTLINE_POOLS=pools, **STEADY)
        values = {name: value for name, value in values.items() if name not in _UNSET} | environment
        values = {name: value for name, value in values.items() if value}
        with settings_from(values) as settings:
            engine = make_engine(settings.database_url, pool_size=5)
        with transaction(engine) as session:
            row = session.connection().exec_driver_sql("SELECT principal_id, project_id FROM api_keys").one()
        platform = Platform(folder, values, settings, engine, Caller(row.principal_id, row.project_id))
        try:
            yield platform
        finally:
            platform.end()

    @contextmanager
    def peer(self, *argv: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A process of a peer: `python -m ...`."""
        values = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTLINE_", "CELERY_"))}
        values |= {"PYTHONPATH": str(ROOT), "BENCH_BROKER_URL": self.broker_url, **environment}
        log_path = self.folder / f"peer-{uuid4().hex[:8]}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *argv], env=values, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            end_group(process)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process that leads its group, and the group with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(30)


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start the engines in `folder`."""
    with postgres(folder / "postgres") as postgres_url, valkey(folder / "valkey") as broker_url:
        made = make_url(create_database(postgres_url))
        engine = make_engine(made.set(drivername="postgresql+psycopg2").render_as_string(False), pooled=False)
        upgrade(engine)
        grant(engine, "default", API_KEY)
        engine.dispose()
        yield World(folder, postgres_url, broker_url, made.database or "")

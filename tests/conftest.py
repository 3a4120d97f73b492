"""Real engines for the tests: one Postgres and one Valkey per test process, a fresh database for each platform."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from services.cli.stack.engines import postgres, valkey
from shared.db.migrate import upgrade
from shared.db.session import make_engine, transaction
from shared.runs.submit import Caller
from tests.support.platform import ROOT, Platform, environment_for, settings_from


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for this test process."""
    with postgres(tmp_path_factory.mktemp("postgres"), durable=False) as url:
        yield url


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for this test process."""
    with valkey(tmp_path_factory.mktemp("valkey"), durable=False) as url:
        yield url


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """A database of its own, empty."""
    name = f"t{uuid4().hex}"
    plain = make_url(postgres_url).set(drivername="postgresql")
    connection = psycopg2.connect(plain.render_as_string(hide_password=False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return plain.set(database=name).render_as_string(hide_password=False)


MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(tmp_path: Path, database_url: str, broker_url: str) -> Iterator[MakePlatform]:
    """Makes a migrated platform with a project and a key; the test starts what processes it needs."""
    made: list[Platform] = []

    def make(**environment: str) -> Platform:
        prefix = environment.pop("CELERY_BROKER_URL", broker_url)
        values = environment_for(tmp_path, database_url, prefix, **environment)
        with settings_from(values) as settings:
            engine = make_engine(settings.database_url, pool_size=5)
        upgrade(engine)
        subprocess.run([sys.executable, "-m", "services.api.bootstrap"], env=values, cwd=ROOT, check=True)
        with transaction(engine) as session:
            row = session.connection().exec_driver_sql("SELECT principal_id, project_id FROM api_keys").one()
        platform = Platform(tmp_path, values, settings, engine, Caller(row.principal_id, row.project_id))
        made.append(platform)
        return platform

    yield make
    for platform in made:
        platform.end()

"""Real engines for the tests: one Postgres and one Valkey per test process, a fresh database for each platform."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy.engine import make_url

from services.api.bootstrap import grant
from services.cli.stack.engines import postgres, valkey
from shared.db.migrate import upgrade
from shared.db.session import make_engine, transaction
from shared.runs.submit import Caller
from tests.support.databases import create_database
from tests.support.platform import API_KEY, Platform, environment_for, settings_from


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
def empty_database_url(postgres_url: str) -> str:
    """A database of its own, without tables."""
    return create_database(postgres_url)


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """Name of a database that has the tables, a project and a key; copied for each test."""
    url = create_database(postgres_url)
    engine = make_engine(make_url(url).set(drivername="postgresql+psycopg2").render_as_string(False), pooled=False)
    upgrade(engine)
    grant(engine, "default", API_KEY)
    engine.dispose()
    return make_url(url).database or ""


MakePlatform = Callable[..., Platform]


@pytest.fixture
def make_platform(tmp_path: Path, postgres_url: str, migrated_template: str, broker_url: str) -> Iterator[MakePlatform]:
    """Makes a migrated platform with a project and a key; the test starts what processes it needs."""
    made: list[Platform] = []

    def make(**environment: str) -> Platform:
        database = environment.pop("FAULTLINE_DATABASE_URL", "") or create_database(postgres_url, migrated_template)
        broker = environment.pop("CELERY_BROKER_URL", broker_url)
        redis.Redis(unix_socket_path=urlsplit(broker_url).path).flushall()
        made.append(_platform(tmp_path, environment_for(tmp_path, database, broker, **environment)))
        return made[-1]

    yield make
    for platform in made:
        platform.end()


@pytest.fixture(scope="module")
def shared_platform(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, migrated_template: str, broker_url: str
) -> Iterator[Platform]:
    """One for all tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("platform")
    platform = _platform(folder, environment_for(folder, create_database(postgres_url, migrated_template), broker_url))
    yield platform
    platform.end()


def _platform(folder: Path, values: dict[str, str]) -> Platform:
    with settings_from(values) as settings:
        engine = make_engine(settings.database_url, pool_size=5)
    with transaction(engine) as session:
        row = session.connection().exec_driver_sql("SELECT principal_id, project_id FROM api_keys").one()
    return Platform(folder, values, settings, engine, Caller(row.principal_id, row.project_id))

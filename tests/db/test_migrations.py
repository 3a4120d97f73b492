"""The migrations make the tables that the code declares."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from shared.db.migrate import upgrade
from shared.db.models import Base
from shared.db.revision import REQUIRED_REVISION, check_revision, current_revision
from shared.db.session import make_engine
from shared.errors import Fatal


@pytest.fixture
def engine(empty_database_url: str) -> Engine:
    return make_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg2://"), pooled=False)


def test_migrations_and_models_say_the_same(engine: Engine) -> None:
    assert upgrade(engine) == REQUIRED_REVISION
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_two_migrations_at_once_are_as_good_as_one(engine: Engine) -> None:
    reached: list[str] = []
    threads = [threading.Thread(target=lambda: reached.append(upgrade(engine))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reached == [REQUIRED_REVISION] * 4
    assert current_revision(engine) == REQUIRED_REVISION


def test_a_release_that_is_rolled_back_leaves_the_newer_schema_as_it_is(engine: Engine) -> None:
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert upgrade(engine) == "9999"
    assert current_revision(engine) == "9999"


def test_code_refuses_a_database_that_is_too_old_and_names_the_remedy(engine: Engine) -> None:
    with pytest.raises(Fatal, match="revision none") as refused:
        check_revision(engine)
    assert "migrate upgrade" in refused.value.remedy
    upgrade(engine)
    check_revision(engine)

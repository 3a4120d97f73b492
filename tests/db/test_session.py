"""Statements without an ORM behave as a session does, prepared or not; a dead connection is never handed out."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from shared.db.session import autocommit, make_engine, statements, transaction
from tests.conftest import MakePlatform
from tests.support.platform import Platform

_PUT = text("INSERT INTO projects (id, name) VALUES (:id, :name)")
_NAMES = text("SELECT name FROM projects WHERE name LIKE 'n%' ORDER BY name")
_LIKE = text("SELECT name, 7 % 4 AS rest FROM projects WHERE name = ANY(:names) AND name <> :other ORDER BY name")
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'faultline sessions'"
)


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture(params=[False, True], ids=["plain", "prepared"])
def engine(platform: Platform, request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = make_engine(platform.settings.database_url, pool_size=1, prepares=request.param, name="sessions")
    yield made
    made.dispose()


def names(platform: Platform) -> list[str]:
    return [row["name"] for row in platform.rows("SELECT name FROM projects WHERE name LIKE 'n%' ORDER BY name")]


def test_rows_come_back_the_same_prepared_or_not(engine: Engine) -> None:
    with statements(engine) as session:
        for name in ("n1", "n%2", "n:3"):
            session.execute(_PUT, {"id": uuid4(), "name": name})
    with autocommit(engine) as session:
        rows = session.execute(_LIKE, {"names": ["n1", "n%2", "n:3"], "other": "n1"})
        assert rows.mappings().all() == [{"name": "n%2", "rest": 3}, {"name": "n:3", "rest": 3}]
        assert session.execute(_NAMES).scalar() == "n%2"
        assert session.execute(_LIKE, {"names": [], "other": ""}).one_or_none() is None


def test_an_exception_undoes_everything(platform: Platform, engine: Engine) -> None:
    with pytest.raises(KeyError), statements(engine) as session:
        session.execute(_PUT, {"id": uuid4(), "name": "n1"})
        raise KeyError
    assert names(platform) == []


def test_a_wrong_statement_raises_what_a_session_would_and_the_connection_stays_of_use(
    platform: Platform, engine: Engine
) -> None:
    for _ in range(2):
        with pytest.raises(IntegrityError), statements(engine) as session:
            session.execute(_PUT, {"id": uuid4(), "name": "n1"})
            session.execute(_PUT, {"id": uuid4(), "name": "n1"})
    with autocommit(engine) as session:
        session.execute(_PUT, {"id": uuid4(), "name": "n2"})
    assert names(platform) == ["n2"]


def test_each_statement_of_autocommit_stands_although_a_later_one_fails(platform: Platform, engine: Engine) -> None:
    with pytest.raises(IntegrityError), autocommit(engine) as session:
        session.execute(_PUT, {"id": uuid4(), "name": "n1"})
        session.execute(_PUT, {"id": uuid4(), "name": "n1"})
    assert names(platform) == ["n1"]


def test_a_connection_that_was_ended_while_it_was_idle_is_replaced_unnoticed(
    platform: Platform, engine: Engine
) -> None:
    for name in ("n1", "n2"):
        with autocommit(engine) as session:
            session.execute(_PUT, {"id": uuid4(), "name": name})
        platform.rows(_END_OTHERS)
    with transaction(engine) as session:
        assert session.execute(_NAMES).scalars().all() == ["n1", "n2"]


def test_a_connection_that_is_ended_in_use_is_an_outage_and_the_next_one_works(
    platform: Platform, engine: Engine
) -> None:
    with pytest.raises(OperationalError), statements(engine) as session:
        session.execute(_PUT, {"id": uuid4(), "name": "n1"})
        platform.rows(_END_OTHERS)
        session.execute(_PUT, {"id": uuid4(), "name": "n2"})
    with autocommit(engine) as session:
        session.execute(_PUT, {"id": uuid4(), "name": "n3"})
    assert names(platform) == ["n3"]


def test_equal_statements_are_prepared_once_whoever_makes_them(platform: Platform) -> None:
    engine = make_engine(platform.settings.database_url, pool_size=1, prepares=True)
    with autocommit(engine) as session:
        for number in range(5):
            session.execute(text("SELECT name FROM projects WHERE name = :name"), {"name": f"n{number}"})
        left = session.execute(text("SELECT statement FROM pg_prepared_statements"))
        assert len([row for row in left.all() if "projects" in row.statement]) == 1
    engine.dispose()

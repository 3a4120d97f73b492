"""A newer release adds columns while processes of this one run on, with statements that they have prepared."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from services.api.app import build
from shared.contracts.envelope import Envelope
from shared.contracts.states import RunState
from shared.contracts.views import Progress
from shared.db.session import autocommit, make_engine, transaction
from shared.runs import sync
from shared.runs.dispatch import Dispatcher
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, settings_from

GENERATE = {"units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}
WORKER = text(
    "INSERT INTO workers (name, pools, kinds, slots, host, pid, version) "
    "VALUES ('w', '{test}', '{test.inline}', 9, 'here', 1, '0')"
)


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture
def engine(platform: Platform) -> Iterator[Engine]:
    made = make_engine(platform.settings.database_url, pool_size=1, prepares=True)
    yield made
    made.dispose()


def add_columns(platform: Platform, number: int) -> None:
    with transaction(platform.engine) as session:
        tables = session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        for table in tables:
            session.execute(text(f"ALTER TABLE {table} ADD COLUMN newer_{number} text DEFAULT 'x'"))


def test_the_api_goes_on_to_take_and_show_runs(platform: Platform) -> None:
    with settings_from(platform.environment) as settings:
        app = build(settings)
    with TestClient(app, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        for number in range(3):
            answer = client.post("/v1/datasets/generate", json=GENERATE | {"name": f"n{number}"})
            assert answer.status_code == 202, answer.text
            assert client.get(answer.headers["Location"]).status_code == 200
            add_columns(platform, number)


def test_dispatcher_and_worker_carry_runs_to_their_end(platform: Platform, engine: Engine) -> None:
    sent: list[UUID] = []
    dispatcher = Dispatcher(engine, platform.settings, lambda *message: sent.append(message[2]))
    with transaction(platform.engine) as session:
        session.execute(WORKER)
    for number in range(3):
        run = platform.submit("test.inline", steps=1)
        assert dispatcher.once() == 1
        with autocommit(engine) as session:
            assert sync.claim(session, run, 1, "w", 30)
            assert sync.renew(session, run, 1, 30, Progress(fraction=0.5))
            envelope = Envelope(
                success=True,
                run_id=run,
                attempt=1,
                task_id=f"{run}:1",
                kind="test.inline",
                duration_seconds=1.0,
                result={},
            )
            assert sync.finish(session, run, RunState.SUCCEEDED, envelope, attempt=1)
        add_columns(platform, number)
    assert len(sent) == 3

"""A step that fails for good is not lost: the outbox has it again, and says why."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.db.session import transaction
from shared.errors import StoreAway
from shared.queue.registry import STEP_BODIES, step_task
from shared.queue.steps import run_step
from shared.runs import outbox
from tests.conftest import MakePlatform
from tests.support.platform import Platform


class _Runtime:
    def __init__(self, platform: Platform) -> None:
        self.engine, self.settings = platform.engine, platform.settings


class _Task:
    """What a step sees of its Celery task."""

    def __init__(self, row_id: int, retries: int, eager: bool = False) -> None:
        request = {"id": f"outbox:{row_id}", "retries": retries, "is_eager": eager}
        self.request: Any = type("Request", (), request)


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture
def failing() -> Iterator[dict[str, Exception]]:
    """The error that the step `test.fails` raises."""
    holder: dict[str, Exception] = {"error": StoreAway()}

    @step_task("test.fails")
    def fails(_args: dict[str, Any], _runtime: Any) -> None:
        raise holder["error"]

    yield holder
    del STEP_BODIES["test.fails"]


def _sent_row(platform: Platform) -> int:
    with transaction(platform.engine) as session:
        outbox.put(session, "test.fails", {})
    sent: list[str] = []
    assert outbox.relay_once(platform.engine, lambda *given: sent.append(given[1])) == 1
    return int(sent[0].removeprefix("outbox:"))


def _fail(platform: Platform, task: _Task) -> None:
    with pytest.raises((StoreAway, ValueError)):
        run_step(_Runtime(platform), "test.fails", {}, task)  # type: ignore[arg-type]


def test_the_last_try_gives_the_step_back_to_the_outbox(platform: Platform, failing: dict[str, Exception]) -> None:
    row_id = _sent_row(platform)
    _fail(platform, _Task(row_id, platform.settings.step_max_retries))
    row = platform.rows("SELECT sent_at, tries, last_error, not_before - now() AS wait FROM outbox")[0]
    assert row["sent_at"] is None
    assert row["tries"] == 1
    assert row["last_error"].startswith("StoreAway")
    assert timedelta(seconds=20) < row["wait"] < timedelta(minutes=2)
    assert outbox.relay_once(platform.engine, lambda *_: None) == 0, "it waits before it is sent again"
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE outbox SET not_before = now()"))
    assert outbox.relay_once(platform.engine, lambda *_: None) == 1


def test_as_long_as_celery_tries_again_the_outbox_does_not(platform: Platform, failing: dict[str, Exception]) -> None:
    _fail(platform, _Task(_sent_row(platform), 0))
    assert platform.rows("SELECT tries FROM outbox WHERE sent_at IS NOT NULL") == [{"tries": 0}]


def test_a_defect_is_given_back_at_once(platform: Platform, failing: dict[str, Exception]) -> None:
    failing["error"] = ValueError("a\x00defect")
    _fail(platform, _Task(_sent_row(platform), 0))
    rows = platform.rows("SELECT last_error FROM outbox WHERE sent_at IS NULL")
    assert "defect" in rows[0]["last_error"]


def test_after_some_days_a_step_is_given_up_and_its_row_says_why(
    platform: Platform, failing: dict[str, Exception]
) -> None:
    row_id = _sent_row(platform)
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE outbox SET created_at = now() - interval '4 days'"))
    _fail(platform, _Task(row_id, 99))
    assert len(platform.rows("SELECT 1 FROM outbox WHERE sent_at IS NOT NULL AND last_error IS NOT NULL")) == 1

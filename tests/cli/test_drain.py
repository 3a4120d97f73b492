"""`faultline workers drain`: until its slots are empty, and the promise that nothing more comes into them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import text
from typer.testing import Result

from services.cli.sdk import Client
from services.cli.ui import draining
from services.cli.ui.draining import Emptied, Look, NotDrainedError, picture
from shared.contracts.specs import GenerateSpec
from shared.contracts.views import WorkerView
from shared.db.session import transaction
from tests.support.platform import Platform

Faultline = Callable[..., Result]
ASKED = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def worker(busy: int, heartbeat_s: float, **more: Any) -> WorkerView:
    """One that drains, with its last heartbeat so many seconds after it was asked to."""
    fields: dict[str, Any] = {
        "name": "w1", "pools": ["generation"], "slots": 2, "busy": busy, "alive": True, "draining": True,
        "drain_requested_at": ASKED, "version": "1", "started_at": ASKED - timedelta(days=1),
        "heartbeat_at": ASKED + timedelta(seconds=heartbeat_s), **more,
    }  # fmt: skip
    return WorkerView(**fields)


@pytest.mark.parametrize(
    ("looks", "empty"),
    [
        ([(0, -1.0)], False),
        ([(0, 1.0)], False),
        ([(0, 1.0), (0, 1.0)], False),
        ([(0, 1.0), (0, 6.0)], True),
        ([(0, 1.0), (1, 6.0)], False),
        ([(1, 1.0), (1, 6.0), (0, 6.0)], True),
    ],
)
def test_a_worker_is_empty_once_it_has_had_the_time_to_let_go_of_its_queues(
    looks: list[tuple[int, float]], empty: bool
):
    emptied = Emptied()
    assert [emptied(worker(*look)) for look in looks][-1] is empty


@pytest.mark.parametrize(
    ("state", "reason"),
    [({"alive": False, "busy": 1}, "gone, and 1 run with it"), ({"drain_requested_at": None}, "takes work again")],
)
def test_a_wait_that_can_come_to_nothing_ends_with_the_reason(state: dict[str, Any], reason: str):
    with pytest.raises(NotDrainedError, match=reason) as raised:
        Emptied()(worker(**{"busy": 0, "heartbeat_s": 1.0, **state}))
    assert raised.value.remedy


@pytest.fixture
def life(platform: Platform, client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A worker that runs one thing. Each pause of a wait takes one statement of this list and a heartbeat."""
    run = client.submit("dataset.generate", GenerateSpec(name="d1"))

    def do(*statements: str) -> None:
        with transaction(platform.engine) as session:
            for statement in statements:
                session.execute(text(statement))

    do(
        "INSERT INTO workers (name, pools, kinds, slots, host, pid, version) "
        "VALUES ('w1', '{generation}', '{}', 2, 'h', 1, '1')",
        "UPDATE runs SET state = 'running', attempt = 1, worker = 'w1', fraction = 0.4, eta_seconds = 90 "
        f"WHERE id = '{run.id}'",
    )
    coming: list[str] = []
    monkeypatch.setattr(
        draining, "sleep", lambda _: do("UPDATE workers SET heartbeat_at = clock_timestamp()", coming.pop(0))
    )
    return coming


NOTHING, ENDS = "SELECT 1", "UPDATE runs SET state = 'cancelled', worker = NULL"


def test_a_drain_is_asked_for_and_taken_back(real: Faultline, client: Client, life: list[str]):
    assert life == []
    assert "draining" in real("workers", "drain", "w1").stdout
    assert client.worker("w1").draining
    assert "takes work again" in real("workers", "undrain", "w1").stdout
    assert not client.worker("w1").draining


def test_a_wait_tells_how_many_slots_are_busy_until_none_is(real: Faultline, life: list[str]):
    life += [NOTHING, NOTHING, ENDS]
    result = real("workers", "drain", "w1", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("draining, 1 of 2 slots busy") == 1
    assert life == []


def test_a_wait_under_json_gives_one_document(real: Faultline, life: list[str]):
    life += [ENDS, NOTHING]
    result = real("workers", "drain", "w1", "--wait", "--json")
    assert json.loads(result.stdout)["busy"] == 0


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        ("UPDATE workers SET heartbeat_at = now() - interval '1 day'", "is gone"),
        ("UPDATE workers SET drain_requested_at = NULL", "undrained or restarted"),
    ],
)
def test_a_wait_for_what_will_not_come_exits_1(real: Faultline, life: list[str], happens: str, reason: str):
    life += [happens]
    result = real("workers", "drain", "w1", "--wait")
    assert result.exit_code == 1
    assert reason in " ".join(result.stderr.split())


def test_an_interrupted_wait_leaves_the_worker_draining(
    real: Faultline, client: Client, life: list[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    assert life == []
    monkeypatch.setattr(draining, "sleep", interrupted)
    result = real("workers", "drain", "w1", "--wait")
    assert result.exit_code == 130
    assert "goes on draining" in result.stderr
    assert client.worker("w1").draining


def test_a_worker_that_there_is_not_is_told(real: Faultline):
    result = real("workers", "drain", "nope")
    assert (result.exit_code, "no worker named 'nope'" in result.stderr) == (2, True)


def test_the_picture_shows_what_it_still_runs_and_what_others_have_there(client: Client, life: list[str]):
    assert life == []
    console = Console(width=100)
    busy = client.worker("w1").model_copy(update={"busy": 2})
    with console.capture() as captured:
        console.print(picture(Look(busy, client.runs())))
    seen = captured.get()
    assert "d1" in seen
    assert "40 %" in seen
    assert "90 s left" in seen
    assert "and 1 run of other projects" in seen

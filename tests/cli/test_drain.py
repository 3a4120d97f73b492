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
from services.cli.ui.draining import Look, NotDrainedError, is_empty, picture
from shared.contracts.specs import GenerateSpec
from shared.contracts.views import WorkerView
from shared.db.session import transaction
from tests.support.platform import Platform

Faultline = Callable[..., Result]
ASKED = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def worker(**more: Any) -> WorkerView:
    """One that has done what a drain asks for."""
    fields: dict[str, Any] = {
        "name": "w1", "pools": ["generation"], "slots": 2, "busy": 0, "alive": True, "draining": True,
        "let_go": True, "drain_requested_at": ASKED, "version": "1", "started_at": ASKED - timedelta(days=1),
        "heartbeat_at": ASKED + timedelta(seconds=1), **more,
    }  # fmt: skip
    return WorkerView(**fields)


def test_a_worker_is_empty_once_it_has_let_go_of_its_queues_and_runs_nothing():
    assert is_empty(worker())
    assert not is_empty(worker(let_go=False))
    assert not is_empty(worker(busy=1))


@pytest.mark.parametrize(
    ("state", "reason"),
    [({"alive": False, "busy": 1}, "gone, and 1 run with it"), ({"drain_requested_at": None}, "takes work again")],
)
def test_a_wait_that_can_come_to_nothing_ends_with_the_reason(state: dict[str, Any], reason: str):
    with pytest.raises(NotDrainedError, match=reason) as raised:
        is_empty(worker(**state))
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
LETS_GO = "UPDATE workers SET draining = true"


def test_a_drain_is_asked_for_and_taken_back(real: Faultline, client: Client, life: list[str]):
    assert life == []
    assert "draining" in real("workers", "drain", "w1").stdout
    assert client.worker("w1").draining
    assert "takes work again" in real("workers", "undrain", "w1").stdout
    assert not client.worker("w1").draining


def test_a_worker_has_let_go_only_with_a_heartbeat_that_is_younger_than_the_wish(
    client: Client, life: list[str], platform: Platform
):
    assert life == []

    def is_told(draining: bool, age_s: int) -> bool:
        with transaction(platform.engine) as session:
            beat = text("UPDATE workers SET draining = :draining, heartbeat_at = now() - make_interval(secs => :age)")
            session.execute(beat, {"draining": draining, "age": age_s})
        return client.worker("w1").let_go

    assert (is_told(False, 0), is_told(True, 0)) == (False, True)
    client.drain_worker("w1")
    assert (is_told(True, 60), is_told(False, 0), is_told(True, 0)) == (False, False, True)


@pytest.mark.parametrize("steps", [[NOTHING, LETS_GO, ENDS], [NOTHING, ENDS, LETS_GO]])
def test_a_wait_ends_at_once_when_the_worker_has_let_go_and_none_of_its_slots_is_busy(
    real: Faultline, life: list[str], steps: list[str]
):
    life += steps
    result = real("workers", "drain", "w1", "--wait")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("draining, 1 of 2 slots busy") == 1
    assert life == []


def test_a_wait_under_json_gives_one_document(real: Faultline, life: list[str]):
    life += [ENDS, LETS_GO]
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

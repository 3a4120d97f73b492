"""`faultline top`: one frame at each width and height, with much, with little, with nothing."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.console import Console

from services.cli.commands import top
from services.cli.sdk import NotReachable
from services.cli.ui.text import short_id
from services.cli.ui.top import Scene, frame
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.pools import PoolView, WaitView
from shared.contracts.views import RunView, WorkerView

NOW = datetime.now(UTC)
ERROR = ErrorInfo(type="UserError", message="One fault only.", remedy="Use more.", error_id="e1")


def run(number: int, state: str, **more: Any) -> RunView:
    fields: dict[str, Any] = {
        "id": UUID(int=number), "kind": "model.train", "state": state, "pool": "training-cpu", "priority": 0,
        "attempt": 1, "progress": {"fraction": 0.41, "stage": "training", "current": 5, "total": 14, "eta_seconds": 93},
        "spec": {"name": f"m{number}"}, "labels": {}, "wait_reason": None, "retry_of": None, "parent_id": None,
        "cancel_requested_at": None, "created_at": NOW - timedelta(minutes=7), "started_at": None,
        "finished_at": None, "worker": None, "envelope": None,
    }  # fmt: skip
    return RunView.model_validate({**fields, **more})


def pool(name: str, slots: int, busy: int, queued: int, **more: Any) -> PoolView:
    fields: dict[str, Any] = {
        "name": name, "resource_class": "cpu", "lead": 1, "slots": slots, "busy": busy,
        "states": {"queued": queued}, "oldest_queued_seconds": 380 if queued else None, "ended_last_hour": 12,
        "median_seconds": {}, "paused": False, "reason": None, "changed_at": None,
    }  # fmt: skip
    return PoolView.model_validate({**fields, **more})


def scene(waiting: int = 2) -> Scene:
    worker = WorkerView(
        name="training-local", pools=["training-cpu"], slots=4, busy=4, alive=True, draining=False, let_go=False,
        version="0.1.0", started_at=NOW, heartbeat_at=NOW,
    )  # fmt: skip
    failed_id = UUID(int=900)
    envelope = Envelope(
        success=False, run_id=failed_id, attempt=1, task_id="t", kind="model.train", duration_seconds=1, error=ERROR
    )
    why = WaitView(
        run_id=UUID(int=100), state="queued", blocked_by="slots_busy", sentence="All 4 slots are busy.", ahead=3,
        estimated_start_at=None,
    )  # fmt: skip
    return Scene(
        NOW, "http://127.0.0.1:8000", "default",
        pools=[pool("training-cpu", 4, 4, waiting), pool("gpu", 0, 0, 0, paused=True, reason="new driver")],
        workers=[worker, worker.model_copy(update={"name": "node-7", "alive": False})],
        running=[run(1, "running")],
        waiting=[run(100 + number, "queued") for number in range(waiting)],
        waits={str(UUID(int=100)): why},
        failed=[run(900, "failed", finished_at=NOW, envelope=envelope)],
    )  # fmt: skip


def lines(shown: Scene, width: int, height: int | None = None) -> list[str]:
    """The frame as text."""
    out = Console(file=io.StringIO(), width=width, color_system=None, markup=False, emoji=False)
    out.print(frame(shown, width, height))
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_says_what_serves_runs_waits_and_failed(width: int):
    text = "\n".join(lines(scene(), width))
    for words in (
        "4/4 busy",
        "2 queued",
        "paused: new",
        "gone",
        " 41%",
        "93 s left",
        "All 4 slots are busy",
        "One fault",
    ):
        assert words in text


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("waiting", [0, 3, 500])
def test_no_line_is_wider_than_the_terminal(width: int, waiting: int):
    assert max(cell_len(line.rstrip()) for line in lines(scene(waiting), width)) <= width


@pytest.mark.parametrize("height", [24, 30, 50])
def test_a_frame_fits_the_screen_and_counts_what_it_leaves_out(height: int):
    shown = lines(scene(500), 100, height)
    assert len(shown) <= height
    assert any("more" in line and "…" in line for line in shown)


def test_where_there_is_nothing_each_part_says_so():
    text = "\n".join(lines(Scene(NOW, "http://h", "default"), 80))
    for words in ("No worker has registered.", "Nothing runs.", "Nothing waits."):
        assert words in text


def test_names_of_others_are_shown_and_never_obeyed():
    evil = run(1, "running", spec={"name": "[red]\x1b[31m"})
    text = "\n".join(lines(Scene(NOW, "http://h", "default", running=[evil]), 120))
    assert "\x1b" not in text
    assert "[red]" in text


def test_an_api_that_is_away_leaves_the_last_frame_and_says_so():
    class Away:
        url = "http://h"

        def runs(self, *_: object, **__: object) -> list[RunView]:
            raise NotReachable("Nothing answers.")

    later = top.look(Away(), "default", scene())  # type: ignore[arg-type]
    assert later.lost == "Nothing answers."
    assert short_id(UUID(int=1)) in "\n".join(lines(later, 100))
    assert "Nothing answers." in lines(later, 100)[0]

"""The local stack with its real services: killed in the middle of a training, it goes on where it was."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.platform import FAST, ROOT, until
from tests.support.processes import with_environment


class Stack:
    """`faultline up` in a folder of its own."""

    def __init__(self, folder: Path, trainer_start: str) -> None:
        self.folder = folder
        own = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTLINE_", "CELERY_"))}
        fast = {name: value for name, value in FAST.items() if name != "FAULTLINE_POOLS"}
        self.environment = {
            **own,
            **fast,
            "FAULTLINE_STATE_DIR": str(folder),
            "FAULTLINE_TRAINER_START": trainer_start,
        }

    def faultline(self, *arguments: str) -> Any:
        """Run the command line with `--json`; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments, "--json"],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.logs())
        return json.loads(done.stdout)

    def logs(self) -> str:
        """The ends of the parts' logs."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in self.folder.glob("logs/*.log"))

    def get(self, path: str) -> Any:
        """Ask the API."""
        access = json.loads((self.folder / "credentials.json").read_text())
        answer = httpx.get(f"{access['url']}{path}", headers={"Authorization": f"Bearer {access['api_key']}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def processes(self) -> list[psutil.Process]:
        """Everything that lives for this stack."""
        return with_environment("FAULTLINE_STATE_DIR", str(self.folder))


@pytest.fixture(params=["spawn", "forkserver"])
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    made = Stack(tmp_path / "state", request.param)
    yield made
    made.faultline("down")
    for process in made.processes():
        process.kill()


@pytest.mark.timeout(240)
def test_a_stack_killed_during_a_training_resumes_it_from_its_checkpoint(stack: Stack) -> None:
    stack.faultline("up", "--detach")
    stack.faultline(
        *("datasets", "generate", "bearings", "--fault", "healthy", "--fault", "outer_race"),
        *("--units", "4", "--records", "2", "--duration", "1", "--wait"),
    )
    stack.faultline(
        *("train", "net", "--dataset", "bearings", "--model", "cnn1d", "--split-by", "unit"),
        *("--set", "epochs=60", "--set", "patience=60", "--set", "width=8"),
    )
    run = stack.get("/v1/models/net")["run_id"]

    def checkpoints() -> list[Any]:
        files = stack.get(f"/v1/runs/{run}/artifacts")["items"]
        return [file for file in files if file["role"] == "checkpoint"]

    until(lambda: len(checkpoints()) >= 3, 90, "no checkpoint is written")
    before = stack.get(f"/v1/runs/{run}")
    assert before["state"] == "running"
    supervisor = json.loads((stack.folder / "stack.json").read_text())["pid"]
    psutil.Process(supervisor).kill()
    until(lambda: not stack.processes(), 15, "somebody outlives the supervisor")

    stack.faultline("up", "--detach")
    until(lambda: stack.get(f"/v1/runs/{run}")["state"] not in {"queued", "dispatched", "running"}, 120)
    after = stack.get(f"/v1/runs/{run}")
    assert (after["state"], after["attempt"]) == ("succeeded", before["attempt"] + 1), after
    assert after["envelope"]["result"]["resumed_from_step"] >= 3
    points = stack.get(f"/v1/runs/{run}/metrics")["items"]
    epochs = [point["step"] for point in points if point["name"] == "train_loss"]
    assert epochs == sorted(set(epochs)), "one value for each epoch"
    assert len(epochs) == after["envelope"]["result"]["epochs"]
    stack.faultline("down")
    until(lambda: not stack.processes(), 15, "somebody outlives `down`")

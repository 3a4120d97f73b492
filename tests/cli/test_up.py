"""`faultline up --detach`, `status`, `down`: the whole platform as a user starts it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.cli.stack.folders import socket_folder
from services.cli.stack.parts import MARK
from tests.cli.stack_harness import await_true


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A checkout of its own that nobody has configured; whatever still runs at the end is stopped."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FAULTLINE_", "CELERY_"))}
    clean["FAULTLINE_STATE_DIR"] = str(tmp_path)
    yield clean
    faultline(clean, "down")
    shutil.rmtree(socket_folder(tmp_path), ignore_errors=True)


def faultline(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "services.cli", *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def status(environment: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(faultline(environment, "status", "--json").stdout)
    return found


def ours(state_dir: Path) -> list[psutil.Process]:
    """Every process of that stack that shows its environment, wherever it has hidden."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(state_dir):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_up_starts_everything_and_down_leaves_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    started = faultline(environment, "up", "--detach", "--json")
    assert started.returncode == 0, started.stderr
    stack = json.loads(started.stdout)
    assert {part["state"] for part in stack["parts"]} == {"ready", "done"}

    credentials = json.loads(Path(stack["credentials"]).read_text())
    headers = {"Authorization": f"Bearer {credentials['api_key']}"}
    workers = httpx.get(f"{credentials['url']}/v1/workers", headers=headers).raise_for_status().json()
    assert {worker["name"] for worker in workers["items"] if worker["alive"]} == {
        "generation-local",
        "training-local",
        "hpo-local",
        "notifier-local",
    }

    api = next(part["pid"] for part in stack["parts"] if part["name"] == "api")
    os.kill(api, signal.SIGKILL)
    assert httpx.get(f"{credentials['url']}/readyz", timeout=30).status_code == 200
    await_true(lambda: any(part["restarts"] == 1 for part in status(environment)["parts"]))

    down = faultline(environment, "down")
    assert down.returncode == 0
    assert "Stopped" in down.stdout
    assert ours(tmp_path) == []
    assert faultline(environment, "status").returncode == 3


def test_up_that_cannot_start_says_which_part_and_what_it_said(environment: dict[str, str]) -> None:
    environment["FAULTLINE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    done = faultline(environment, "up", "--detach")
    assert done.returncode == 1
    assert "migrate ended with exit code" in done.stderr
    assert "migrate.log" in done.stderr
    assert faultline(environment, "status").returncode == 3

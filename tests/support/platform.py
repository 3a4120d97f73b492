"""A whole platform for a test: real engines, real processes, fast leases. Everything ends with the test."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
from sqlalchemy import Engine, text

from shared.contracts.states import TERMINAL
from shared.db.session import transaction
from shared.runs.submit import Caller, Request, submit
from shared.settings import Settings
from tests.support.bodies import CountSpec
from tests.support.processes import with_environment

ROOT = Path(__file__).parents[2]
API_KEY = "fl_test_key_that_is_long_enough"


def until(condition: Callable[[], Any], timeout_s: float = 30.0, what: str = "") -> Any:
    """Poll until it holds; the value it had. Raises `TimeoutError` that says what was waited for."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline_s:
            raise TimeoutError(what or "the condition does not hold in time")
        time.sleep(0.02)


@dataclass
class Platform:
    """Engines and settings, and whatever processes a test starts."""

    folder: Path
    environment: Mapping[str, str]
    settings: Settings
    engine: Engine
    caller: Caller
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, module: str, root: Path = ROOT, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a process of the platform, from the code in `root`; its log is in the folder."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**self.environment, "PYTHONPATH": str(root), **environment},
                cwd=root,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def start_worker(
        self, name: str, module: str = "tests.support.worker", root: Path = ROOT, **environment: str
    ) -> None:
        """Start a worker and wait until it has registered."""
        pools = environment.pop("FAULTLINE_WORKER_POOLS", '["test"]')
        process = self.start(
            name,
            module,
            root,
            FAULTLINE_WORKER_NAME=name,
            FAULTLINE_WORKER_POOLS=pools,
            PROMETHEUS_MULTIPROC_DIR=str(self.folder / f"{name}-metrics"),
            **environment,
        )

        def registered() -> bool:
            assert process.poll() is None, self.log(name)
            return bool(
                self.rows(
                    "SELECT 1 FROM workers WHERE name = :name AND pid = :pid AND NOT draining",
                    name=name,
                    pid=process.pid,
                )
            )

        until(registered, 90, f"worker {name} does not register:\n{self.log(name)}")

    def start_core(self, root: Path = ROOT) -> None:
        """Dispatcher and reconciler."""
        self.start("dispatcher", "services.api.dispatcher", root)
        self.start("reconciler", "services.api.reconciler", root)

    def start_api(self, name: str = "api", port: int = 0, root: Path = ROOT, module: str = "services.api.main") -> str:
        """Start an API process on a free port; its URL."""
        port = port or free_port()
        process = self.start(name, module, root, FAULTLINE_API_PORT=str(port))
        url = f"http://127.0.0.1:{port}"

        def ready() -> bool:
            assert process.poll() is None, self.log(name)
            try:
                return httpx.get(f"{url}/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        until(ready, 90, f"{name} does not get ready")
        return url

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process and wait for its end."""
        process = self.processes[name]
        process.send_signal(sig)
        process.wait(60)

    def log(self, name: str) -> str:
        """What a process logged."""
        path = self.folder / f"{name}.log"
        return path.read_text()[-6000:] if path.exists() else ""

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a query."""
        with transaction(self.engine) as session:
            return [dict(row) for row in session.execute(text(sql), values).mappings()]

    def journal(self, name: str = "journal") -> Path:
        """A journal file."""
        return self.folder / f"{name}.txt"

    def submit(self, kind: str, journal: str = "journal", key: str | None = None, **spec: Any) -> UUID:
        """Submit a counting run."""
        with transaction(self.engine) as session:
            counting = CountSpec(journal=str(self.journal(journal)), **spec)
            return submit(session, self.settings, self.caller, Request(kind, counting, idempotency_key=key))

    def run(self, run_id: UUID) -> dict[str, Any]:
        """The run's row."""
        return self.rows("SELECT * FROM runs WHERE id = :id", id=run_id)[0]

    def finished(self, run_id: UUID, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for the end of a run; its row."""

        def ended() -> dict[str, Any] | None:
            row = self.run(run_id)
            return row if row["state"] in TERMINAL else None

        try:
            row: dict[str, Any] = until(ended, timeout_s)
        except TimeoutError:
            logs = "\n".join(f"--- {name}\n{self.log(name)}" for name in self.processes)
            raise TimeoutError(f"run {run_id} is {self.run(run_id)['state']}\n{logs}") from None
        return row

    def wait_for_line(self, line: str, journal: str = "journal", timeout_s: float = 30.0) -> None:
        """Wait until the body has noted a line that starts so."""

        def noted() -> bool:
            path = self.journal(journal)
            return path.exists() and any(entry.startswith(line) for entry in path.read_text().splitlines())

        until(noted, timeout_s, f"no line {line!r} in the journal")

    def states(self, run_id: UUID) -> list[str]:
        """The states the run went through."""
        rows = self.rows("SELECT data FROM run_events WHERE run_id = :id AND type = 'state' ORDER BY seq", id=run_id)
        return [row["data"]["state"] for row in rows]

    def trainers(self) -> list[psutil.Process]:
        """Processes of this platform beyond those that the test started: trainers, fork servers, pool children."""
        ours = {process.pid for process in self.processes.values()}
        found = with_environment("FAULTLINE_TEST_FOLDER", str(self.folder))
        return [process for process in found if process.pid not in ours]

    def end(self) -> None:
        """Kill everything."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(10)
        for orphan in self.trainers():
            orphan.kill()
        self.engine.dispose()


def free_port() -> int:
    """A port that is free now."""
    with __import__("socket").socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_OFTEN = json.dumps({"per_s": 100_000, "burst": 100_000})
FAST = {
    "FAULTLINE_KEY_RATE": _OFTEN,
    "FAULTLINE_ANONYMOUS_RATE": _OFTEN,
    "FAULTLINE_FAILED_RATE": _OFTEN,
    "FAULTLINE_HEARTBEAT_S": "0.5",
    "FAULTLINE_LEASE_S": "3",
    "FAULTLINE_CANCEL_GRACE_S": "1",
    "FAULTLINE_CHECKPOINT_GRACE_S": "5",
    "FAULTLINE_DISPATCH_TIMEOUT_S": "3",
    "FAULTLINE_DISPATCH_POLL_S": "0.5",
    "FAULTLINE_REAPER_INTERVAL_S": "0.25",
    "FAULTLINE_PROGRESS_INTERVAL_S": "0.2",
    "FAULTLINE_POOLS": json.dumps(
        [
            {"name": "test", "lead": 1},
            {"name": "generation"},
            {"name": "training-cpu", "lead": 0},
            {"name": "analysis"},
            {"name": "hpo"},
        ]
    ),
}


def environment_for(folder: Path, database_url: str, broker_url: str, **more: str) -> dict[str, str]:
    """The environment of a platform's processes."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FAULTLINE_", "CELERY_"))},
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "FAULTLINE_DATABASE_URL": database_url,
        "CELERY_BROKER_URL": broker_url,
        "CELERY_RESULT_BACKEND": broker_url,
        "FAULTLINE_ARTIFACT_STORE_URL": f"file://{folder / 'artifacts'}",
        "FAULTLINE_BOOTSTRAP_KEY": API_KEY,
        "FAULTLINE_SECRET_KEYS": json.dumps(["a test's secret, of 32 signs or more"]),
        "FAULTLINE_SEAL_KEYS": json.dumps(["what seals in tests, of 32 signs or more"]),
        "FAULTLINE_WORK_DIR": str(folder / "work"),
        "FAULTLINE_TEST_FOLDER": str(folder),
        **FAST,
        **more,
    }


@contextmanager
def settings_from(environment: Mapping[str, str]) -> Iterator[Settings]:
    """Read settings as a process with this environment would."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield Settings()
    finally:
        os.environ.clear()
        os.environ.update(before)

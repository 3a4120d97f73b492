"""`faultline doctor`: each broken part is named, with what to do about it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from services.cli.commands import doctor
from services.cli.doctor import reach as reaching
from services.cli.doctor.machine import Gpus, Probes
from services.cli.doctor.reach import reach
from services.cli.stack.serve import serve
from services.cli.stack.state import StateFolder
from shared.contracts.diagnostics import (
    BrokerHealth,
    DatabaseHealth,
    DiagnosticsView,
    LoopHealth,
    PoolHealth,
    StoreHealth,
    WorkerHealth,
)
from shared.errors import FaultlineError
from shared.version import VERSION
from tests.cli.fake_api import FakeApi

Faultline = Callable[..., Result]
TB = 1 << 40


def worker(**more: Any) -> WorkerHealth:
    """One that is well."""
    fields = {"name": "w1", "pools": ["analysis"], "slots": 2, "busy": 1, "alive": True, "draining": False}
    return WorkerHealth.model_validate(
        {**fields, "version": VERSION, "heartbeat_age_s": 1.0, "clock_ahead_s": 0.01, **more}
    )


def health(**more: Any) -> DiagnosticsView:
    """A platform that is well, but for `more`."""
    fields: dict[str, Any] = {
        "version": VERSION,
        "now": datetime.now(UTC),
        "eager": False,
        "lease_s": 30.0,
        "heartbeat_s": 5.0,
        "database": DatabaseHealth(seconds=0.01, revision="0002", required_revision="0002", clock_ahead_s=0.001),
        "broker": BrokerHealth(seconds=0.01, queues={"analysis": 0}, visibility_timeout_s=480, longest_step_s=120),
        "store": StoreHealth(scheme="file", seconds=0.01, free_bytes=TB),
        "workers": [worker()],
        "pools": [PoolHealth(name="analysis", workers=1, slots=2, busy=1, queued=0)],
        "loops": [LoopHealth(name=name, connections=2, idle_s=0.5) for name in ("dispatcher", "reconciler")],
    }
    return DiagnosticsView.model_validate({**fields, **more})


@pytest.fixture(autouse=True)
def a_good_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROBES", probes())


def probes(**more: Any) -> Probes:
    """A machine that is well, but for `more`."""
    return Probes(
        **{"free_bytes": lambda _: TB, "free_memory_bytes": lambda: TB, "gpus": lambda: Gpus([], None),
           "reach": lambda _: None, "has_module": lambda _: True, **more}
    )  # fmt: skip


def ill(result: Result) -> dict[str, dict[str, str]]:
    """What is not well, by name."""
    return {check["name"]: check for check in json.loads(result.stdout)["checks"] if check["verdict"] != "ok"}


def test_where_all_is_well_the_exit_is_0_and_nothing_is_to_do(faultline: Faultline, api: FakeApi):
    api.health = health()
    result = faultline("doctor")
    assert result.exit_code == 0, result.output
    assert "All is well" in result.stdout
    assert " do " not in result.stdout


def test_quiet_says_nothing_of_what_is_well(faultline: Faultline, api: FakeApi):
    api.health = health()
    assert faultline("doctor", "--quiet").stdout.strip().startswith("All is well")
    assert json.loads(faultline("doctor", "--quiet", "--json").stdout) == {"checks": [], "healthy": True}


@pytest.mark.parametrize(
    ("more", "name", "verdict", "fix"),
    [
        ({"broker": BrokerHealth(error="refused", visibility_timeout_s=480, longest_step_s=120)}, "broker", "FAIL",
         "CELERY_BROKER_URL"),
        ({"broker": BrokerHealth(seconds=0.1, visibility_timeout_s=100, longest_step_s=120)}, "visibility", "FAIL",
         "FAULTLINE_STEP_TIME_LIMIT_S"),
        ({"database": DatabaseHealth(seconds=0.1, revision="0001", required_revision="0002")}, "database", "FAIL",
         "shared.db.migrate upgrade"),
        ({"database": DatabaseHealth(error="gone", required_revision="0002")}, "database", "FAIL",
         "FAULTLINE_DATABASE_URL"),
        ({"store": StoreHealth(scheme="file", error="No space left on device")}, "store", "FAIL", "Make room"),
        ({"store": StoreHealth(scheme="file", seconds=0.1, free_bytes=1000)}, "store", "warn", "gc --dry-run"),
        ({"workers": [worker(clock_ahead_s=-90.0)]}, "clocks", "FAIL", "NTP"),
        ({"workers": [worker(clock_ahead_s=5.0)]}, "clocks", "warn", "NTP"),
        ({"now": datetime.now(UTC) + timedelta(hours=2)}, "clocks", "FAIL", "NTP"),
        ({"workers": [worker(version="0.0.9")]}, "versions", "warn", "drain"),
        ({"version": "7.0.0", "workers": []}, "versions", "warn", "client of the server's release"),
        ({"workers": [worker(alive=False, heartbeat_age_s=300)]}, "worker", "warn", "Restart it"),
        ({"loops": [LoopHealth(name="dispatcher", connections=0)]}, "dispatcher", "FAIL", "services.api.dispatcher"),
        ({"loops": [LoopHealth(name="reconciler", connections=1, idle_s=90)]}, "reconciler", "FAIL", "restart it"),
        ({"expired_leases": 2}, "leases", "FAIL", "reconciler"),
        ({"pools": [PoolHealth(name="gpu", workers=0, slots=0, busy=0, queued=3)]}, "pool gpu", "FAIL",
         "FAULTLINE_WORKER_POOLS"),
        ({"pools": [PoolHealth(name="gpu", workers=0, slots=0, busy=0, queued=0)]}, "pool gpu", "warn",
         "FAULTLINE_WORKER_POOLS"),
        ({"pools": [PoolHealth(name="gpu", workers=1, slots=1, busy=0, queued=3, paused=True)]}, "pool gpu", "warn",
         "pools resume gpu"),
        ({"pools": [PoolHealth(name="gpu", workers=1, slots=1, busy=0, queued=3, oldest_queued_s=600)]}, "pool gpu",
         "warn", "runs why"),
    ],
)  # fmt: skip
def test_each_broken_part_of_the_platform_is_named_with_its_fix(
    faultline: Faultline, api: FakeApi, more: dict[str, Any], name: str, verdict: str, fix: str
):
    api.health = health(**more)
    result = faultline("doctor", "--json")
    found = ill(result)
    assert list(found) == [name]
    assert found[name]["verdict"] == verdict
    assert fix in found[name]["fix"]
    assert result.exit_code == (1 if verdict == "FAIL" else 0)


def test_an_eager_platform_needs_no_workers(faultline: Faultline, api: FakeApi):
    api.health = health(eager=True, workers=[], pools=[PoolHealth(name="x", workers=0, slots=0, busy=0, queued=0)])
    assert ill(faultline("doctor", "--json")) == {}


def test_a_key_that_is_no_operators_leaves_the_server_out(faultline: Faultline, api: FakeApi):
    result = faultline("doctor", "--json")
    assert result.exit_code == 0
    assert ill(result)["server"]["verdict"] == "warn"


def test_an_api_that_does_not_answer_and_one_without_its_database_are_told_apart(faultline: Faultline, api: FakeApi):
    api.outages = [503] * 99
    assert "database may be away" in ill(faultline("doctor", "--json"))["api"]["fix"]


def test_a_key_that_is_refused_says_where_it_is_from(
    faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch
):
    api.outages = [401]
    assert "options or environment" in ill(faultline("doctor", "--json"))["api"]["fix"]


@pytest.mark.parametrize(("days", "soon"), [(3, True), (300, False)])
def test_a_key_that_soon_expires_is_told(faultline: Faultline, api: FakeApi, days: int, soon: bool):
    api.health = health()
    api.key_expires_at = datetime.now(UTC) + timedelta(days=days)
    assert ("key" in ill(faultline("doctor", "--json"))) is soon


def test_a_disk_that_is_full_fails(faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch):
    api.health = health()
    monkeypatch.setattr(doctor, "PROBES", probes(free_bytes=lambda _: 1000))
    result = faultline("doctor")
    assert result.exit_code == 1
    assert "FAIL disk" in result.stdout
    assert "Make room" in result.stdout


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Gpus([], None), "ok"),
        (Gpus(["/dev/nvidia0"], "H100, 80 GB, 550"), "ok"),
        (Gpus(["/dev/nvidia0"], None), "warn"),
        (Gpus(["/dev/nvidia0"], "", "driver/library version mismatch"), "warn"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_a_warning(
    faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch, found: Gpus, verdict: str
):
    api.health = health()
    monkeypatch.setattr(doctor, "PROBES", probes(gpus=lambda: found))
    assert ("gpu" in ill(faultline("doctor", "--json"))) is (verdict == "warn")


@pytest.mark.parametrize(
    ("environment", "name", "words"),
    [
        ({"FAULTLINE_LEASE": "3"}, "settings", "FAULTLINE_LEASE_S"),
        ({"FAULTLINE_LEASE_S": "three"}, "settings", "Correct these variables"),
        ({"FAULTLINE_HEARTBEAT_S": "20"}, "settings", "Correct these variables"),
        ({"CELERY_BROKER_URL": "amqp://x"}, "settings", "Correct these variables"),
    ],
)
def test_settings_that_cannot_work_are_named(
    faultline: Faultline,
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    name: str,
    words: str,
):
    api.health = health()
    known = {"FAULTLINE_URL": "http://127.0.0.1:8123", "FAULTLINE_API_KEY": "fl_key"}
    monkeypatch.setattr(doctor, "PROBES", probes(environment={**known, **environment}))
    assert words in ill(faultline("doctor", "--json"))[name]["fix"]


def test_a_server_that_the_settings_name_and_that_is_away_is_told(
    faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch
):
    api.health = health()
    known = {"FAULTLINE_URL": "http://h:1", "FAULTLINE_API_KEY": "k", "CELERY_BROKER_URL": "redis://h:1"}
    monkeypatch.setattr(doctor, "PROBES", probes(environment=known, reach=lambda _: "h:1: refused"))
    assert "h:1: refused" in ill(faultline("doctor", "--json"))["broker"]["words"]


# -- the local stack


def test_where_nothing_runs_the_way_to_start_it_is_told(
    faultline: Faultline, monkeypatch: pytest.MonkeyPatch, api: FakeApi
):
    monkeypatch.delenv("FAULTLINE_URL")
    monkeypatch.delenv("FAULTLINE_API_KEY")
    result = faultline("doctor")
    assert result.exit_code == 1
    assert "faultline up" in result.stdout


def test_a_start_that_failed_is_explained_with_the_last_words_of_the_part(
    faultline: Faultline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = StateFolder(tmp_path / "state")

    def compose(*_: object) -> Any:
        raise FaultlineError("api ended with exit code 1.\nbind: address in use", remedy="Choose another port.")

    with pytest.raises(FaultlineError):
        serve({"FAULTLINE_STATE_DIR": str(folder.path)}, None, lambda _: None, compose)
    monkeypatch.delenv("FAULTLINE_URL")
    monkeypatch.delenv("FAULTLINE_API_KEY")
    found = ill(faultline("doctor", "--json"))["last start"]
    assert found["words"] == "api ended with exit code 1."
    assert found["details"] == "bind: address in use"
    assert found["fix"] == "Choose another port."


# -- bare sockets


@contextmanager
def server(says: bytes) -> Iterator[int]:
    """Listens once, hears something, says that; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(64)
                if says:
                    connection.sendall(says)
                else:
                    heard.wait(60)

        heard = threading.Event()
        thread = threading.Thread(target=serve_one, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        heard.set()
        thread.join(30)


@pytest.mark.parametrize(
    ("says", "url"),
    [
        (b"+PONG\r\n", "redis://127.0.0.1:{}"),
        (b"-NOAUTH Authentication required.\r\n", "redis://:secret@127.0.0.1:{}/0"),
        (b"N", "postgresql://me:secret@127.0.0.1:{}/db"),
        (b"S", "postgresql+psycopg2://127.0.0.1:{}/db"),
    ],
)
def test_a_server_is_known_by_its_first_words(says: bytes, url: str):
    with server(says) as port:
        assert reach(url.format(port)) is None


def test_something_else_at_the_address_is_told():
    with server(b"HTTP/1.1 400") as port:
        assert "something else" in str(reach(f"redis://127.0.0.1:{port}"))


def test_a_server_that_is_silent_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reaching, "_TIMEOUT_S", 0.2)
    with server(b"") as port:
        assert "does not answer" in str(reach(f"redis://127.0.0.1:{port}"))


def test_a_password_is_never_told():
    told = str(reach("redis://:secret@127.0.0.1:1/0"))
    assert "refused" in told
    assert "secret" not in told

"""The supervisor of the local stack, with small stand-in parts."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from services.cli.stack import serve
from services.cli.stack.control import report, running, stop
from services.cli.stack.folders import FolderError
from services.cli.stack.life import Life
from services.cli.stack.parts import Part, platform
from services.cli.stack.processes import Start, birth
from services.cli.stack.state import StateFolder, rotate
from services.cli.stack.supervisor import StartFailed
from tests.cli.stack_harness import SLEEPER, await_true, stack

#: says in a file when it is asked to stop
POLITE = """
import signal, sys
from pathlib import Path
def end(*_):
    with open("order", "a") as file:
        file.write(NAME + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(f"{NAME}.ready", "w").close()
while True:
    signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("deaf", "w").close()
while True:
    signal.pause()
"""
API = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(os.environ["API_FD"]))
server.serve_forever()
"""
#: starts a child that no death signal and no group reaches
ESCAPER = """
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"], start_new_session=True)
with open("escaped.new", "w") as file:
    file.write(str(child.pid))
import os; os.rename("escaped.new", "escaped")
signal.pause()
"""


def polite(name: str, *after: str) -> dict[str, Any]:
    return {"name": name, "code": f"NAME = {name!r}\n{POLITE}", "after": after, "ready": f"{name}.ready"}


def fetch(url: str, path: str = "/readyz") -> str:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", path)
    try:
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    parts = (polite("workers", "api"), polite("database"), polite("api", "database"))
    with stack(tmp_path, *parts) as running_stack:
        running_stack.wait("up")
        ready = [event.part for event in running_stack.seen if event.kind == "ready"]
        assert ready == ["database", "api", "workers"]
        assert running_stack.stop() == 0
    assert (tmp_path / "order").read_text().split() == ["workers", "api", "database"]
    assert {part.state for part in running_stack.state().parts} == {"stopped"}


def test_a_part_waits_until_a_one_time_part_has_done_its_work(tmp_path: Path) -> None:
    once = {"name": "migrate", "code": "open('migrated', 'w').close()", "once": True}
    needs = {"name": "api", "code": f"open('migrated')\n{SLEEPER}", "after": ["migrate"]}
    with stack(tmp_path, needs, once) as running_stack:
        running_stack.wait("up")
        assert [part.state for part in running_stack.state().parts] == ["ready", "done"]


def test_a_part_that_crashes_is_started_again(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
        running_stack.wait("up")
        first = running_stack.pid("worker")
        os.kill(first, signal.SIGKILL)
        assert "SIGKILL" in running_stack.wait("died", "worker").text
        running_stack.wait("ready", "worker")
        assert running_stack.pid("worker") != first
        assert running_stack.state().parts[0].restarts == 1


def test_restarts_come_slower_and_slower_until_the_part_has_lived_for_a_while(tmp_path: Path) -> None:
    life = Life(Part("worker", Start([], {}, tmp_path)), tmp_path / "log")
    life.began = 1e12
    assert [round(life.back_off(), 1) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    life.began = -1e12
    assert life.back_off() == 0.2


def test_a_part_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": STUBBORN, "ready": "deaf", "grace_s": 0.2}) as running_stack:
        running_stack.wait("up")
        pid = running_stack.pid("worker")
        assert running_stack.stop() == 0
        assert not psutil.pid_exists(pid)


def test_asking_twice_to_stop_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": STUBBORN, "ready": "deaf", "grace_s": 600}) as running_stack:
        running_stack.wait("up")
        running_stack.process.send_signal(signal.SIGINT)
        running_stack.wait("stopping")
        assert running_stack.stop() == 0


def test_a_part_that_dies_while_starting_is_named_with_its_last_words_and_all_is_stopped(tmp_path: Path) -> None:
    broken = {
        "name": "api",
        "code": "print('port is on fire'); raise SystemExit(3)",
        "after": ["database"],
        "ready": "no",
    }
    with stack(tmp_path, {"name": "database", "code": SLEEPER}, broken) as running_stack:
        running_stack.wait("ready", "database")
        pid = running_stack.pid("database")
        failed = running_stack.wait("failed")
        assert running_stack.process.wait(timeout=20) == 1
    assert "api ended with exit code 3" in failed.text
    assert "port is on fire" in failed.text
    assert "api.log" in failed.remedy
    assert not psutil.pid_exists(pid)


def test_parts_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with stack(
        tmp_path, *({"name": name, "code": STUBBORN, "ready": "deaf"} for name in ("one", "two"))
    ) as running_stack:
        running_stack.wait("up")
        pids = [running_stack.pid("one"), running_stack.pid("two")]
        running_stack.process.kill()
        await_true(lambda: not any(birth(pid) for pid in pids))
        assert [pid for pid in pids if birth(pid)] == []


def test_the_next_start_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": ESCAPER}) as running_stack:
        running_stack.wait("up")
        await_true((tmp_path / "escaped").exists)
        escaped = int((tmp_path / "escaped").read_text())
        running_stack.process.kill()
        running_stack.process.wait()
        assert birth(escaped)
    with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
        note = running_stack.wait("note")
        assert "1 process" in note.text
        assert birth(escaped) is None
        running_stack.wait("up")


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as stranger:
        with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
            running_stack.wait("up")
            running_stack.stop()
        state = json.loads((tmp_path / "stack.json").read_text())
        state["parts"][0].update(pid=stranger.pid, born="another boot:1")
        (tmp_path / "stack.json").write_text(json.dumps(state))
        with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
            running_stack.wait("up")
        assert stranger.poll() is None
        stranger.kill()


def test_a_torn_state_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"pid": 12, "pa')
    (tmp_path / "credentials.json").write_text("")
    with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
        running_stack.wait("up")
        assert running_stack.folder.credentials()["api_key"].startswith("fl_")


def test_a_second_start_of_one_checkout_is_refused_in_words(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as first:
        first.wait("up")
        with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as second:
            refused = second.wait("refused")
            assert second.process.wait(timeout=20) == 1
        assert f"already running (pid {first.process.pid}, {first.state().url})" in refused.text
        assert "faultline down" in refused.remedy
        assert first.process.poll() is None


def test_two_checkouts_run_at_once(tmp_path: Path) -> None:
    api = {"name": "api", "code": API, "http": True}
    with stack(tmp_path / "one", api) as one, stack(tmp_path / "two", api) as two:
        one.wait("up")
        two.wait("up")
        assert one.state().url != two.state().url
        assert fetch(one.state().url) == str(one.pid("api"))
        assert fetch(two.state().url) == str(two.pid("api"))


def test_a_request_while_the_api_is_away_is_answered_by_its_successor(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "api", "code": API, "http": True}) as running_stack:
        url = running_stack.wait("up").text
        first = running_stack.pid("api")
        os.kill(first, signal.SIGKILL)
        running_stack.wait("died", "api")
        answered = []
        caller = threading.Thread(target=lambda: answered.append(fetch(url)))
        caller.start()
        running_stack.wait("ready", "api")
        caller.join()
        assert answered == [str(running_stack.pid("api"))]


def test_the_key_and_the_port_stay_the_same_over_restarts(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with stack(tmp_path, {"name": "worker", "code": SLEEPER}) as running_stack:
            running_stack.wait("up")
            seen.append(running_stack.folder.credentials())
            assert running_stack.stop() == 0
    assert seen[0] == seen[1]
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_down_stops_and_waits_and_is_harmless_where_nothing_runs(tmp_path: Path) -> None:
    assert not stop(StateFolder(tmp_path / "never"), lambda _: None)
    with stack(tmp_path, polite("worker")) as running_stack:
        running_stack.wait("up")
        pid = running_stack.pid("worker")
        assert running(running_stack.folder) is not None
        assert stop(running_stack.folder, lambda _: None)
        assert not psutil.pid_exists(pid)
        assert running(running_stack.folder) is None
        assert not stop(running_stack.folder, lambda _: None)


def test_down_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with stack(tmp_path, {"name": "worker", "code": ESCAPER}) as running_stack:
        running_stack.wait("up")
        await_true((tmp_path / "escaped").exists)
        running_stack.process.kill()
        running_stack.process.wait()
    assert stop(running_stack.folder, lambda _: None)
    assert birth(int((tmp_path / "escaped").read_text())) is None


def test_status_tells_state_memory_and_age_of_each_part(tmp_path: Path) -> None:
    with stack(tmp_path, polite("worker")) as running_stack:
        running_stack.wait("up")
        state = running(running_stack.folder)
        assert state is not None
        (part,) = report(state)
        assert (part.name, part.state, part.pid, part.restarts) == ("worker", "ready", running_stack.pid("worker"), 0)
        assert part.rss_bytes is not None
        assert part.rss_bytes > 1_000_000
        assert part.uptime_s is not None


@pytest.mark.parametrize("as_json", [False, True])
def test_status_exits_with_3_where_nothing_runs(tmp_path: Path, as_json: bool) -> None:
    argv = [sys.executable, "-m", "services.cli", "status", *(["--json"] if as_json else [])]
    environment = {**os.environ, "FAULTLINE_STATE_DIR": str(tmp_path)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["running"] is False if as_json else "faultline up" in done.stdout


def test_servers_of_the_user_take_the_place_of_the_embedded_ones(tmp_path: Path) -> None:
    own = {
        "FAULTLINE_DATABASE_URL": "postgresql://db.example/faultline",
        "CELERY_BROKER_URL": "redis://broker.example/0",
        "FAULTLINE_ARTIFACT_STORE_URL": "s3://artifacts",
        "FAULTLINE_BOOTSTRAP_KEY": "fl_my-own-key-of-some-length",
        "FAULTLINE_WORKER_SLOTS": "7",
        "FAULTLINE_METRICS_PORT": "9",
    }
    plan = platform(StateFolder(tmp_path), tmp_path, own, 9, "http://127.0.0.1:1")
    assert {part.name for part in plan.parts}.isdisjoint({"postgres", "valkey"})
    assert plan.api_key == own["FAULTLINE_BOOTSTRAP_KEY"]
    training = next(part.start.env for part in plan.parts if part.name == "training worker")
    assert training["CELERY_RESULT_BACKEND"] == "redis://broker.example/0"
    assert training["FAULTLINE_WORKER_SLOTS"] == "7"
    assert "FAULTLINE_METRICS_PORT" not in training
    assert "FAULTLINE_BOOTSTRAP_KEY" not in training
    assert training.items() >= {item for item in own.items() if item[0].endswith("_URL")}


def test_without_servers_of_the_user_the_engines_come_first(tmp_path: Path) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    plan = platform(StateFolder(tmp_path), sockets, {"PATH": os.defpath}, 9, "http://127.0.0.1:1")
    after = {part.name: part.after for part in plan.parts}
    assert after["postgres"] == after["valkey"] == ()
    assert set(after["migrate"]) == {"postgres", "valkey"}
    assert set(after["training worker"]) == {"postgres", "valkey", "migrate"}
    worker = next(part for part in plan.parts if part.name == "generation worker")
    assert worker.start.env["FAULTLINE_DATABASE_URL"] == f"postgresql://postgres@/faultline?host={sockets}"
    assert worker.start.env["CELERY_BROKER_URL"] == f"redis+socket://{sockets}/valkey.sock"
    assert json.loads(worker.start.env["FAULTLINE_WORKER_POOLS"]) == ["generation"]


def test_a_large_log_is_moved_aside_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    for text in ("a", "b", "c", "d", "e"):
        log.write_text(text * (5 << 20))
        rotate(log)
    kept = {path.name: path.read_text()[0] for path in tmp_path.iterdir()}
    assert kept == {"api.log.1": "e", "api.log.2": "d", "api.log.3": "c"}


@pytest.mark.parametrize("command", [["up"], ["up", "--detach"], ["down"]])
def test_a_state_folder_that_cannot_be_one_is_told_without_a_traceback(tmp_path: Path, command: list[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    environment = {**os.environ, "FAULTLINE_STATE_DIR": str(taken)}
    argv = [sys.executable, "-m", "services.cli", *command]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "FAULTLINE_STATE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["abc", "-1", "70000", "\u0663"])
def test_a_port_that_is_none_is_told(tmp_path: Path, port: str) -> None:
    with pytest.raises(StartFailed, match="FAULTLINE_API_PORT"):
        serve._listen(StateFolder(tmp_path), {"FAULTLINE_API_PORT": port}, None)


def test_a_remembered_address_that_is_none_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text('{"url": "http://127.0.0.1:99999999", "api_key": "x"}')
    with serve._listen(StateFolder(tmp_path), {}, None) as listening:
        assert 0 < listening.getsockname()[1] < 65_536


def test_credentials_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").mkdir()
    with pytest.raises(FolderError, match=r"credentials\.json"):
        StateFolder(tmp_path).save_credentials("http://127.0.0.1:1", "key")


@pytest.mark.parametrize("keys", ["secret_keys", "seal_keys"])
def test_the_secret_keys_of_the_stack_are_made_once_readable_by_its_owner_alone_and_given_to_those_who_use_them(
    tmp_path: Path, keys: str
) -> None:
    setting = f"FAULTLINE_{keys.upper()}"
    engines = {
        "FAULTLINE_DATABASE_URL": "postgresql://db.example/faultline",
        "CELERY_BROKER_URL": "redis://broker.example/0",
    }

    def given(environment: dict[str, str]) -> dict[str, str | None]:
        plan = platform(StateFolder(tmp_path), tmp_path, environment, 9, "http://127.0.0.1:1")
        return {part.name: part.start.env.get(setting) for part in plan.parts}

    first = given(engines)
    assert [name for name, known in first.items() if known] == ["api", "notifier worker"]
    assert given(engines) == first
    assert (tmp_path / f"{keys}.json").stat().st_mode & 0o777 == 0o600
    own = json.dumps(["a secret of the user's own choosing, long enough"])
    assert given({**engines, setting: own})["api"] == own


def test_keys_of_the_stack_that_cannot_be_read_are_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "seal_keys.json").write_text('{"keys": ["half of a ke')
    with pytest.raises(FolderError, match=r"seal_keys\.json has no keys"):
        StateFolder(tmp_path).seal_keys({})

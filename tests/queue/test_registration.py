"""A worker's name is its own; it can be drained; what it left behind when it was killed goes."""

import os
import signal
import threading

import psutil
from fastapi.testclient import TestClient
from sqlalchemy import text

from services.api.app import build
from shared.db.session import transaction
from shared.queue.registration import Registration
from shared.queue.workdir import name_workdir, remove_leftovers
from shared.runs.cancel import request_cancel
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, settings_from, until


def worker(platform: Platform, name: str) -> dict[str, object]:
    return platform.rows("SELECT * FROM workers WHERE name = :name", name=name)[0]


def let_go(client: TestClient) -> bool:
    [shown] = client.get("/v1/workers").json()["items"]
    return bool(shown["let_go"])


def test_a_second_worker_of_a_living_name_refuses_to_start_and_one_of_a_killed_name_starts(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform(FAULTLINE_LEASE_S="60")
    platform.start_worker("w1")
    first = platform.processes["w1"]
    second = platform.start(
        "again", "tests.support.worker", FAULTLINE_WORKER_NAME="w1", FAULTLINE_WORKER_POOLS='["test"]'
    )
    assert second.wait(90) == 1
    assert "A worker named 'w1' is alive already" in platform.log("again")
    assert "FAULTLINE_WORKER_NAME" in platform.log("again")
    assert worker(platform, "w1")["pid"] == first.pid
    platform.kill("w1", signal.SIGKILL)
    platform.start_worker("w1")
    assert worker(platform, "w1")["pid"] != first.pid


def test_a_drained_worker_ends_what_it_runs_and_takes_nothing_new_until_it_is_undrained(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    with settings_from(platform.environment) as settings:
        app = build(settings)
    with TestClient(app, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        running = platform.submit("test.inline", journal="a", steps=8, step_s=0.25)
        platform.wait_for_line("step 1", "a", timeout_s=60)
        asked = client.post("/v1/workers/w1/drain")
        assert asked.status_code == 200, asked.text
        assert (asked.json()["draining"], asked.json()["let_go"]) == (True, False)
        assert asked.json()["versions"]["celery"]
        until(lambda: let_go(client), 60, "the worker does not stop taking work")
        later = platform.submit("test.inline", journal="b", steps=1)
        assert platform.finished(running)["state"] == "succeeded"
        assert platform.run(later)["state"] == "queued"
        assert client.get(f"/v1/runs/{later}/wait").json()["blocked_by"] == "no_worker"
        undrained = client.post("/v1/workers/w1/undrain").json()
        assert undrained["drain_requested_at"] is None
        assert platform.finished(later)["state"] == "succeeded"
        assert client.post("/v1/workers/nobody/drain").status_code == 404
        actions = [row["action"] for row in platform.rows("SELECT action FROM audit_log ORDER BY id")]
        assert actions == ["worker.drain", "worker.undrain"]


def test_only_folders_of_this_worker_are_removed(make_platform: MakePlatform) -> None:
    with settings_from({**make_platform().environment, "FAULTLINE_WORKER_NAME": "w"}) as settings:
        ours = [name_workdir(settings, "w") for _ in range(3)]
        others = [name_workdir(settings, "w-2"), name_workdir(settings, "ww")]
        for folder in [*ours, *others]:
            folder.mkdir(parents=True)
        (ours[0] / "checkpoint").write_text("half")
        assert settings.work_dir is not None
        (settings.work_dir / "attempt-w-999999999-0123456789abcdef").symlink_to(others[0])
        assert remove_leftovers(settings) == 3
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_what_a_killed_pool_child_left_is_removed_while_the_folder_of_another_process_stays(
    make_platform: MakePlatform,
) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    work = platform.settings.work_dir
    assert work is not None
    run = platform.submit("test.inline", steps=200, step_s=0.1)
    platform.wait_for_line("step 1")
    [left] = work.glob("attempt-w1-*")
    other = work / f"attempt-w1-{os.getpid()}-0123456789abcdef"
    other.mkdir()
    psutil.Process(int(left.name.split("-")[2])).kill()
    until(lambda: not left.exists(), 60, "the scratch of the killed child stays")
    assert other.exists(), "that process lives"
    with transaction(platform.engine) as session:
        request_cancel(session, run)


def test_a_beat_that_hangs_in_a_silent_database_is_left_behind(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_WORKER_NAME="w", FAULTLINE_WORKER_POOLS='["test"]')
    with settings_from(platform.environment) as settings:
        registration = Registration(platform.engine, settings)
    registration.take_name()
    with transaction(platform.engine) as session:
        session.execute(text("SELECT 1 FROM workers WHERE name = 'w' FOR UPDATE"))
        registration.start()
        until(lambda: len([each for each in threading.enumerate() if each.name == "beat"]) >= 2, 30, "it hangs")
    assert registration.registered.wait(30), "the next beat is heard"
    registration.leave()

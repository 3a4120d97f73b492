"""Celery's own view of a run is useful while the backend is well, and never matters."""

import json
from urllib.parse import urlsplit

import pytest
import redis

from shared.queue.app import Holder, Sender, make_app
from tests.conftest import MakePlatform
from tests.support.platform import Platform, until


@pytest.fixture
def backend(broker_url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=urlsplit(broker_url).path)


def seen(backend: redis.Redis, run: object, attempt: int = 1) -> dict:
    raw = backend.get(f"celery-task-meta-{run}:{attempt}")
    return json.loads(raw) if raw else {}


def test_progress_and_the_envelope_show_in_the_result_backend_and_expire(
    make_platform: MakePlatform, backend: redis.Redis
) -> None:
    platform = make_platform(FAULTLINE_MIRROR_INTERVAL_S="0.2")
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=10, step_s=0.2)
    progress = until(lambda: seen(backend, run) if seen(backend, run).get("status") == "PROGRESS" else None)
    assert 0 < progress["result"]["fraction"] <= 1
    assert progress["result"]["stage"] == "counting"
    platform.finished(run)
    until(lambda: seen(backend, run)["status"] == "SUCCESS")
    envelope = platform.run(run)["envelope"]
    assert seen(backend, run)["result"] == envelope
    assert 0 < backend.ttl(f"celery-task-meta-{run}:1") <= platform.settings.result_expires_s


def test_a_failed_run_is_a_failure_for_celery_too(make_platform: MakePlatform, backend: redis.Redis) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.inline", steps=3, fail_at=1)
    row = platform.finished(run)
    assert (row["state"], row["envelope"]["error"]["message"]) == ("failed", "the body was told to fail")
    until(lambda: seen(backend, run).get("status") == "FAILURE")


def test_a_repeat_does_not_overwrite_the_result(make_platform: MakePlatform, backend: redis.Redis) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit("test.inline", steps=1)
    platform.finished(run)
    until(lambda: seen(backend, run).get("status") == "SUCCESS")
    Sender(platform.settings).run("test.inline", "test", run, 1, None)
    second = platform.submit("test.inline", journal="second", steps=1)
    platform.finished(second)
    assert seen(backend, run)["result"]["success"] is True


def test_a_dead_result_backend_changes_nothing_for_a_run(make_platform: MakePlatform) -> None:
    platform = make_platform(CELERY_RESULT_BACKEND="redis+socket:///nowhere/valkey.sock")
    platform.start_core()
    platform.start_worker("w1")
    for name in ("first", "second"):
        run = platform.submit("test.supervised", journal=name, steps=3, step_s=0.1)
        assert platform.finished(run)["state"] == "succeeded"


def test_a_message_that_is_no_json_is_refused_and_the_worker_goes_on(make_platform: MakePlatform) -> None:
    platform: Platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    app = make_app(platform.settings, [], Holder())
    app.send_task("test.inline", ["x", 1], queue="test", serializer="pickle")
    run = platform.submit("test.inline", steps=1)
    assert platform.finished(run)["state"] == "succeeded"
    assert "ContentDisallowed" in platform.log("w1") or "Refusing to deserialize" in platform.log("w1")

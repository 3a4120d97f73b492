"""The previous release's processes and this one's work side by side on one database, as in a rolling upgrade.

The previous release is the newest tag `v*`; FAULTLINE_PREVIOUS names another commit to compare with.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from shared.contracts.specs import GenerateSpec
from shared.db.revision import REQUIRED_REVISION, current_revision
from shared.db.session import make_engine
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, ROOT, Platform, until

_SPEC = GenerateSpec(name="d", faults=["healthy"], units_per_fault=1, records_per_unit=1, duration_s=0.25)


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the previous release."""
    asked = os.environ.get("FAULTLINE_PREVIOUS")
    tags = [] if asked else _git("tag", "--list", "v*", "--sort=-v:refname").decode().split()
    if not asked and not tags:
        pytest.skip("no release is tagged yet (git tag v*), and FAULTLINE_PREVIOUS names no commit")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(_git("archive", asked or tags[0]))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _roots(previous: Path, which: str) -> Path:
    return previous if which == "previous" else ROOT


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
@pytest.mark.parametrize(("core", "worker"), [("previous", "this"), ("this", "previous")])
def test_workers_and_dispatchers_of_two_releases_carry_out_a_run(
    make_platform: MakePlatform, previous: Path, core: str, worker: str, kind: str
) -> None:
    platform = make_platform()
    platform.start_core(_roots(previous, core))
    platform.start_worker("w1", root=_roots(previous, worker))
    row = platform.finished(platform.submit(kind, steps=3))
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert row["envelope"]["result"]["steps"] == 3


@pytest.mark.parametrize(("first", "second"), [("previous", "this"), ("this", "previous")])
def test_a_run_goes_from_a_worker_of_one_release_to_one_of_the_other(
    make_platform: MakePlatform, previous: Path, first: str, second: str
) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1", root=_roots(previous, first))
    run = platform.submit("test.supervised", steps=12, step_s=0.2)
    platform.wait_for_line("step 5")
    platform.kill("w1")
    platform.start_worker("w2", root=_roots(previous, second))
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["worker"]) == ("succeeded", 2, "w2")
    assert row["envelope"]["result"]["began_at"] > 0, "the checkpoint of the other release is not used"


def _generated(platform: Platform, url: str) -> dict[str, Any]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        answer = client.post("/v1/datasets/generate", json=_SPEC.model_dump(mode="json"))
        assert answer.status_code == 202, answer.text
        run: dict[str, Any] = answer.json()
        until(lambda: client.get(f"/v1/runs/{run['id']}").json()["state"] == "succeeded", 60, platform.log("w1"))
        return run


@pytest.mark.parametrize(("api", "worker"), [("previous", "this"), ("this", "previous")])
def test_an_api_of_one_release_is_served_by_workers_of_the_other(
    make_platform: MakePlatform, previous: Path, api: str, worker: str
) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker(
        "w1", "services.generation.worker", root=_roots(previous, worker), FAULTLINE_WORKER_POOLS='["generation"]'
    )
    _generated(platform, platform.start_api(root=_roots(previous, api)))


@pytest.mark.parametrize(("api", "command_line"), [("previous", "this"), ("this", "previous")])
def test_a_command_line_of_one_release_works_with_an_api_of_the_other(
    make_platform: MakePlatform, previous: Path, api: str, command_line: str
) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1", "services.generation.worker", FAULTLINE_WORKER_POOLS='["generation"]')
    url = platform.start_api(root=_roots(previous, api))
    run = _generated(platform, url)
    root = _roots(previous, command_line)
    for words in (["runs", "list"], ["runs", "show", run["id"]], ["datasets", "list"], ["workers"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "services.cli", *words, "--json"],
            env={**platform.environment, "PYTHONPATH": str(root), "FAULTLINE_URL": url, "FAULTLINE_API_KEY": API_KEY},
            cwd=root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        assert json.loads(done.stdout), words


def test_what_the_previous_release_left_in_its_database_goes_on_after_the_upgrade(
    make_platform: MakePlatform, previous: Path, empty_database_url: str
) -> None:
    migrated = make_platform()
    environment = {**migrated.environment, "FAULTLINE_DATABASE_URL": empty_database_url}
    engine = make_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg2").render_as_string(False))
    platform = replace(migrated, environment=environment, engine=engine)
    for module in (["shared.db.migrate", "upgrade"], ["services.api.bootstrap"]):
        _run(platform, previous, *module)
    url = platform.start_api("old", root=previous)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        answer = client.post("/v1/datasets/generate", json=_SPEC.model_dump(mode="json"))
        assert answer.status_code == 202, answer.text
    platform.kill("old")
    _run(platform, ROOT, "shared.db.migrate", "upgrade")
    assert current_revision(engine) == REQUIRED_REVISION
    platform.start_core()
    platform.start_worker("w1", "services.generation.worker", FAULTLINE_WORKER_POOLS='["generation"]')
    with httpx.Client(base_url=platform.start_api(), headers={"Authorization": f"Bearer {API_KEY}"}) as client:
        address = f"/v1/runs/{answer.json()['id']}"
        until(lambda: client.get(address).json()["state"] == "succeeded", 60, platform.log("w1"))
    engine.dispose()


def _run(platform: Platform, root: Path, module: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env={**platform.environment, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""`GET /v1/diagnostics`: the facts that `faultline doctor` judges by."""

from pathlib import Path

from sqlalchemy import text

from shared.contracts.diagnostics import DiagnosticsView
from shared.db.session import transaction
from tests.api.conftest import MakeClient
from tests.support.platform import Platform, until


def seen(client) -> DiagnosticsView:
    answer = client.get("/v1/diagnostics")
    assert answer.status_code == 200, answer.text
    return DiagnosticsView.model_validate(answer.json())


def test_a_platform_that_is_well_says_so(client):
    found = seen(client)
    assert found.database.error is found.broker.error is found.store.error is None
    assert found.database.revision == found.database.required_revision
    assert abs(found.database.clock_ahead_s or 0) < 60
    assert found.broker.queues.keys() >= {"generation", "training-cpu", "analysis", "steps"}
    assert found.broker.visibility_timeout_s >= 2 * found.broker.longest_step_s
    assert found.expired_leases == 0


def test_the_probe_of_the_store_leaves_nothing_behind(client, platform: Platform):
    seen(client)
    artifacts = platform.folder / "artifacts"
    assert [path for path in artifacts.rglob("*") if path.is_file()] == []


def test_a_broker_that_is_away_is_a_fact_and_no_error(make_client: MakeClient):
    found = seen(make_client(CELERY_BROKER_URL="redis://127.0.0.1:1/0"))
    assert found.broker.error
    assert found.database.error is None


def test_a_store_that_takes_nothing_is_a_fact_and_no_error(make_client: MakeClient, tmp_path: Path):
    folder = tmp_path / "store"
    client = make_client(FAULTLINE_ARTIFACT_STORE_URL=f"file://{folder}")
    if folder.exists():
        folder.rmdir()
    folder.write_text("no folder")
    assert seen(client).store.error


def test_an_old_revision_is_a_fact_and_no_error(client, platform: Platform):
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert seen(client).database.revision == "0001"


def test_background_processes_and_workers_are_seen(client, platform: Platform):
    assert {loop.name: loop.connections for loop in seen(client).loops} == {"dispatcher": 0, "reconciler": 0}
    platform.start_core()
    platform.start_worker("w1")
    until(lambda: all(loop.connections for loop in seen(client).loops), 60, "the loops are not seen")
    [worker] = seen(client).workers
    assert worker.alive
    assert worker.clock_ahead_s is not None
    assert abs(worker.clock_ahead_s) < 60
    pool = next(pool for pool in seen(client).pools if pool.name == "test")
    assert (pool.workers, pool.slots, pool.busy) == (1, 1, 0)


def test_only_an_operator_may_ask(client, platform: Platform):
    with transaction(platform.engine) as session:
        session.execute(text("UPDATE principals SET operator = false"))
    assert client.get("/v1/diagnostics").status_code == 403

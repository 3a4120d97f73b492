"""Pools, their pause, and why a run waits."""

from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from shared.db.session import transaction
from shared.runs import sync
from shared.runs.dispatch import dispatch_once
from shared.runs.waiting import estimate_wait_s
from tests.support.platform import Platform


def add_worker(platform: Platform, slots: int = 1, kinds: str = "ARRAY['test.inline']") -> None:
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO workers (name, pools, kinds, slots, host, pid, version, heartbeat_at) "
            f"VALUES ('w', ARRAY['test'], {kinds}, {slots}, 'h', 1, '0', now() + interval '1 hour')"
        )


def dispatch(platform: Platform) -> int:
    return dispatch_once(platform.engine, platform.settings, lambda *_message: None)


def execute(platform: Platform, sql: str, **values: Any) -> None:
    with transaction(platform.engine) as session:
        session.execute(text(sql), values)


def waits(client: TestClient, run: UUID) -> dict[str, Any]:
    answer = client.get(f"/v1/runs/{run}/wait")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def test_a_paused_pool_sends_nothing_and_takes_back_what_nobody_claimed(client: TestClient, platform: Platform) -> None:
    add_worker(platform, slots=2)
    running, sent, queued = (platform.submit("test.inline") for _ in range(3))
    dispatch(platform)
    with transaction(platform.engine) as session:
        assert sync.claim(session, running, 1, "w", 30)
    answer = client.post("/v1/pools/test/pause", json={"reason": "the cooling is being mended"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["paused"]
    assert [platform.run(run)["state"] for run in (running, sent, queued)] == ["running", "queued", "queued"]
    assert platform.run(sent)["attempt"] == 1
    assert dispatch(platform) == 0
    with transaction(platform.engine) as session:
        assert sync.claim(session, sent, 1, "w", 30) is None, "a late message of a paused pool"
    assert waits(client, queued)["blocked_by"] == "pool_paused"
    assert "cooling" in client.get(f"/v1/runs/{queued}").json()["wait_reason"]
    assert not client.post("/v1/pools/test/resume").json()["paused"]
    assert dispatch(platform) == 2
    actions = [row["action"] for row in platform.rows("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["pool.pause", "pool.resume"]


def test_a_pool_shows_what_it_has_and_what_waits(client: TestClient, platform: Platform) -> None:
    add_worker(platform, slots=3)
    ended, running, _queued = (platform.submit("test.inline") for _ in range(3))
    execute(
        platform,
        "UPDATE runs SET state = 'succeeded', started_at = now() - interval '20 s', finished_at = now() WHERE id = :id",
        id=ended,
    )
    with transaction(platform.engine) as session:
        sync.claim(session, running, 1, "w", 30)
    pools = {pool["name"]: pool for pool in client.get("/v1/pools").json()["items"]}
    assert set(pools) == {"test", "generation", "training-cpu", "analysis", "hpo"}
    pool = pools["test"]
    assert (pool["slots"], pool["busy"], pool["ended_last_hour"], pool["paused"]) == (3, 1, 1, False)
    assert pool["states"] == {"queued": 1, "running": 1}
    assert pool["median_seconds"] == {"test.inline": pytest.approx(20, abs=1)}
    assert pool["oldest_queued_seconds"] >= 0
    assert client.get("/v1/pools/test").json() | {"oldest_queued_seconds": 0} == pool | {"oldest_queued_seconds": 0}


def test_only_an_operator_may_pause_and_only_a_pool_that_exists(client: TestClient, platform: Platform) -> None:
    assert client.post("/v1/pools/nowhere/pause", json={"reason": "x"}).status_code == 404
    assert client.post("/v1/pools/test/pause", json={"reason": ""}).status_code == 422
    execute(platform, "UPDATE principals SET operator = false")
    for route in ("pause", "resume"):
        assert client.post(f"/v1/pools/test/{route}", json={"reason": "x"}).status_code == 403


def test_what_blocks_a_run_is_named(client: TestClient, platform: Platform) -> None:
    run = platform.submit("test.inline")
    assert waits(client, run)["blocked_by"] == "no_worker"
    add_worker(platform, kinds="ARRAY['test.supervised']")
    assert waits(client, run)["blocked_by"] == "kind_not_served"
    execute(platform, "UPDATE workers SET kinds = ARRAY['test.inline']")
    assert waits(client, run) | {"estimated_start_at": None} == {
        "run_id": str(run),
        "state": "queued",
        "blocked_by": "nothing",
        "sentence": "It is about to be sent.",
        "ahead": 0,
        "estimated_start_at": None,
    }
    execute(platform, "UPDATE runs SET not_before = now() + interval '1 hour'")
    assert waits(client, run)["blocked_by"] == "not_before"
    execute(platform, "UPDATE runs SET attempt = 2")
    assert waits(client, run)["blocked_by"] == "retry_backoff"
    execute(platform, "UPDATE runs SET not_before = NULL; UPDATE projects SET max_running = 0")
    assert waits(client, run)["blocked_by"] == "quota_running"
    execute(platform, "UPDATE projects SET max_running = NULL")
    dispatch(platform)
    assert waits(client, run)["blocked_by"] == "dispatched"
    execute(platform, "UPDATE runs SET state = 'waiting'")
    assert waits(client, run)["blocked_by"] == "parent_waiting"
    execute(platform, "UPDATE runs SET state = 'succeeded', finished_at = now()")
    assert waits(client, run)["blocked_by"] is None


def test_the_place_and_the_start_are_told_from_what_runs_and_what_ran(client: TestClient, platform: Platform) -> None:
    add_worker(platform, slots=1)
    ended, running, sent, first, second = (platform.submit("test.inline") for _ in range(5))
    execute(
        platform,
        "UPDATE runs SET state = 'succeeded', started_at = now() - interval '100 s', finished_at = now() "
        "WHERE id = :id",
        id=ended,
    )
    with transaction(platform.engine) as session:
        sync.claim(session, running, 1, "w", 30)
    assert dispatch(platform) == 1, "the pool's lead"
    views = [waits(client, run) for run in (sent, first, second)]
    assert [view["blocked_by"] for view in views] == ["dispatched", "slots_busy", "slots_busy"]
    assert [view["ahead"] for view in views] == [None, 0, 1]
    now = platform.rows("SELECT now() AS now")[0]["now"]
    starts = [
        row["wait"]
        for view in views
        for row in platform.rows(
            "SELECT extract(epoch FROM CAST(:at AS timestamptz) - :now) AS wait", at=view["estimated_start_at"], now=now
        )
    ]
    assert [float(start) for start in starts] == [pytest.approx(seconds, abs=30) for seconds in (100, 200, 300)]


def test_the_estimate_fills_the_slot_that_is_free_first() -> None:
    assert estimate_wait_s([], 2, behind=1, typical_s=10) == 0
    assert estimate_wait_s([5, 30], 2, behind=0, typical_s=10) == 5
    assert estimate_wait_s([5, 30], 2, behind=3, typical_s=10) == 30
    assert estimate_wait_s([5, 30], 3, behind=1, typical_s=10) == 5


def test_nobody_learns_of_a_run_of_another_project(client: TestClient, platform: Platform) -> None:
    run = platform.submit("test.inline")
    execute(
        platform,
        "INSERT INTO projects (id, name) VALUES (gen_random_uuid(), 'other'); "
        "UPDATE runs SET project_id = (SELECT id FROM projects WHERE name = 'other')",
    )
    assert client.get(f"/v1/runs/{run}/wait").status_code == 404


GENERATE = {"units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5}


def test_a_run_may_be_asked_for_later_in_the_query_or_in_the_body(client: TestClient) -> None:
    at = "2090-01-02T03:04:05+01:00"
    query = client.post("/v1/datasets/generate", params={"not_before": at}, json=GENERATE | {"name": "a"})
    body = client.post(
        "/v1/runs", json={"kind": "dataset.generate", "spec": GENERATE | {"name": "b"}, "not_before": at}
    )
    for answer in (query, body):
        assert answer.status_code == 202, answer.text
        assert answer.json()["not_before"] == "2090-01-02T02:04:05Z"


def test_a_time_without_a_zone_is_refused(client: TestClient) -> None:
    params = {"not_before": "2090-01-02T03:04:05"}
    assert client.post("/v1/datasets/generate", params=params, json=GENERATE | {"name": "a"}).status_code == 422


def test_one_queued_run_too_many_is_refused_with_the_remedy(client: TestClient, platform: Platform) -> None:
    execute(platform, "UPDATE projects SET max_queued = 1")
    assert client.post("/v1/datasets/generate", json=GENERATE | {"name": "a"}).status_code == 202
    answer = client.post("/v1/datasets/generate", json=GENERATE | {"name": "b"})
    assert answer.status_code == 429
    assert "max_queued" in answer.json()["remedy"]
    assert len(platform.rows("SELECT 1 FROM runs")) == 1

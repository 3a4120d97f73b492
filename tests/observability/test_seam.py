"""What is seen of a run from outside: one trace, ids in every line, the core series of every process."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.observability.logs import ID_FIELDS
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, free_port, until

HEADERS = {"Authorization": f"Bearer {API_KEY}"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


def lines(platform: Platform, name: str) -> list[dict[str, Any]]:
    """Every line of a process's log; one that is no JSON fails the test."""
    return [json.loads(line) for line in (platform.folder / f"{name}.log").read_text().splitlines()]


def generate(url: str, name: str = "d", records: int = 1, **headers: str) -> UUID:
    body = {"name": name, "faults": ["healthy"], "units_per_fault": 1, "records_per_unit": records, "duration_s": 0.25}
    answer = httpx.post(f"{url}/v1/datasets/generate", json=body, headers=HEADERS | headers)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


def test_one_trace_leads_from_the_request_through_the_rows_to_the_body(platform: Platform) -> None:
    url = platform.start_api()
    platform.start_core()
    platform.start_worker("g1", "services.generation.worker", FAULTLINE_WORKER_POOLS='["generation"]')
    run = generate(url, traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01")
    row = platform.finished(run)
    assert row["traceparent"].split("-")[1] == TRACE_ID

    def ours() -> list[dict[str, Any]]:
        return [line for line in lines(platform, "g1") if line["run_id"] == str(run) and "shared" in line["logger"]]

    until(lambda: "attempt ended" in {line["event"] for line in ours()}, what="the end is not logged")
    assert "claimed" in {line["event"] for line in ours()}
    assert {line["trace_id"] for line in ours()} == {TRACE_ID}

    unwanted = generate(url, "unwanted", records=10_000, traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01")
    until(lambda: platform.run(unwanted)["state"] == "running")
    httpx.post(f"{url}/v1/runs/{unwanted}/cancel", headers=HEADERS)
    platform.finished(unwanted)
    steps = platform.rows("SELECT traceparent FROM outbox WHERE args->>'run_id' = :id", id=str(unwanted))
    assert {step["traceparent"].split("-")[1] for step in steps} == {TRACE_ID}, "a step carries its run's trace"


def test_every_line_of_every_process_is_json_with_ids_also_those_of_libraries(platform: Platform) -> None:
    platform.start_core()
    platform.start_api()
    platform.start_worker("w1")
    run = platform.submit("test.supervised", steps=2, fail_at=1)
    platform.finished(run)
    until(lambda: platform.rows("SELECT 1 FROM outbox WHERE sent_at IS NOT NULL"))
    until(lambda: any("raised unexpected" in line["event"] for line in lines(platform, "w1")))
    for name in platform.processes:
        for line in lines(platform, name):
            assert set(ID_FIELDS) <= set(line), line
            assert {"event", "level", "logger", "timestamp", "service"} <= set(line), line
    celery = [line for line in lines(platform, "w1") if line["logger"].startswith("celery") and "Task" in line["event"]]
    assert any((line["run_id"], line["attempt"]) == (str(run), 1) for line in celery)
    assert all(line["task_id"] for line in celery)


def series(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_each_process_shows_its_core_series(platform: Platform) -> None:
    ports = {name: free_port() for name in ("dispatcher", "reconciler", "w1")}
    for name in ("dispatcher", "reconciler"):
        platform.start(name, f"services.api.{name}", FAULTLINE_METRICS_PORT=str(ports[name]))
    platform.start_worker("w1", FAULTLINE_METRICS_PORT=str(ports["w1"]))
    url = platform.start_api()
    run = platform.submit("test.inline", steps=1)
    platform.finished(run)
    httpx.get(f"{url}/v1/runs/{run}", headers=HEADERS)
    until(lambda: 'faultline_attempts_ended_total{kind="test.inline",state="succeeded"} 1.0' in series(ports["w1"]))
    worker = series(ports["w1"])
    for name in ("claims_total", "start_seconds_count", "attempt_seconds_count", "stage_seconds_count"):
        assert f"faultline_{name}" in worker, name
    assert 'faultline_dispatched_total{pool="test"} 1.0' in series(ports["dispatcher"])
    assert 'faultline_live_slots{pool="test"} 1.0' in series(ports["dispatcher"])
    platform.kill("w1")
    platform.submit("test.inline", journal="second")
    until(lambda: "faultline_oldest_queued_seconds" in series(ports["reconciler"]), what="nothing is said to wait")
    answered = httpx.get(f"{url}/metrics").text
    assert 'faultline_request_seconds_count{method="GET",route="/v1/runs/{run_id}",status="200"} 1.0' in answered

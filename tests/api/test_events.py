"""Watching a run over SSE."""

import json
import signal
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from shared.db.session import transaction
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, until

HEADERS = {"Authorization": f"Bearer {API_KEY}"}


def read(
    url: str, run: UUID, last: int | None = None, stop_after: int | None = None
) -> Iterator[tuple[str, str, dict]]:
    """(id, event, data) of each message, until the stream ends or `stop_after` messages came."""
    headers = HEADERS | ({"Last-Event-ID": str(last)} if last is not None else {})
    came = 0
    with httpx.stream("GET", f"{url}/v1/runs/{run}/events", headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
                fields, came = {}, came + 1
                if stop_after is not None and came >= stop_after:
                    return


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    return platform


def test_a_watcher_that_reconnects_misses_nothing_and_sees_nothing_twice(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.supervised", steps=30, step_s=0.1)
    seen: list[int] = []
    over = False
    while not over:
        last = seen[-1] if seen else None
        for id_, event, _data in read(url, run, last, stop_after=7):
            if event == "end":
                over = True
            else:
                seen.append(int(id_))
    written = platform.run(run)["event_seq"]
    assert seen == sorted(set(seen)), "in order, each once"
    assert seen == list(range(1, written + 1)), "all of them"


def test_a_watcher_outlives_the_death_of_its_api_process(platform: Platform) -> None:
    url = platform.start_api()
    port = int(url.rsplit(":", 1)[1])
    run = platform.submit("test.supervised", steps=20, step_s=0.1)
    seen = [int(id_) for id_, _event, _data in read(url, run, stop_after=5)]
    platform.kill("api")
    platform.start_api("api2", port)
    states = []
    for id_, event, data in read(url, run, last=seen[-1]):
        if event != "end":
            seen.append(int(id_))
        if event == "state":
            states.append(data["data"]["state"])
    assert seen == list(range(1, platform.run(run)["event_seq"] + 1))
    assert states[-1] == "succeeded"


def test_an_api_that_is_told_to_end_lets_its_watchers_go(make_platform: MakePlatform) -> None:
    platform = make_platform(FAULTLINE_GRACEFUL_SHUTDOWN_S="300")
    url = platform.start_api()
    run = platform.submit("test.inline", steps=1)
    messages = read(url, run)
    assert next(messages)[1] == "state"
    platform.kill("api", signal.SIGTERM)
    assert list(messages) == [], "the stream is whole, and says no end of the run"


def test_a_watcher_who_reads_an_old_history_keeps_nobody_else_waiting(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.supervised", steps=400, step_s=0.1)
    platform.wait_for_line("step 0")
    with transaction(platform.engine) as session:
        session.connection().exec_driver_sql(
            f"UPDATE runs SET event_seq = event_seq + 20000 WHERE id = '{run}'; "
            "INSERT INTO run_events (run_id, seq, attempt, type, data) "
            f"SELECT '{run}', event_seq - n, 1, 'notice', '{{}}' FROM runs, generate_series(0, 19999) n "
            f"WHERE id = '{run}'"
        )
    newest = platform.run(run)["event_seq"]
    with httpx.stream("GET", f"{url}/v1/runs/{run}/events", headers=HEADERS, timeout=30) as slow:
        assert slow.status_code == 200
        first = next(iter(read(url, run, last=newest)))
    assert int(first[0]) == newest + 1


def test_a_finished_run_is_replayed_and_the_stream_ends(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.inline", steps=1)
    platform.finished(run)
    events = [event for _id, event, _data in read(url, run)]
    assert events[0] == "state"
    assert events[-2:] == ["state", "end"]
    last = platform.run(run)["event_seq"]
    assert [event for _id, event, _data in read(url, run, last=last)] == ["end"], "nothing is left to come"


def test_progress_is_seen_by_a_watcher_while_the_run_goes_on(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.supervised", steps=20, step_s=0.1)
    fractions = [data["data"]["fraction"] for _id, event, data in read(url, run) if event == "progress"]
    assert fractions == sorted(fractions)
    assert len(fractions) >= 3
    assert fractions[-1] == 1.0


def test_the_log_of_a_run_carries_ids_in_every_line_and_what_libraries_print(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.supervised", steps=2)
    platform.finished(run)
    until(lambda: platform.rows("SELECT 1 FROM artifacts WHERE role = 'log'"))
    page = httpx.get(f"{url}/v1/runs/{run}/logs", headers=HEADERS).json()
    lines = [item["line"] for item in page["items"]]
    assert any(line["event"] == "counting from 0" for line in lines)
    for line in lines:
        assert (line["run_id"], line["attempt"], line["task_id"]) == (str(run), 1, f"{run}:1")
        assert "trace_id" in line
    assert page["next_cursor"] is None


def test_a_log_is_read_page_by_page_without_a_gap_or_a_repeat(platform: Platform) -> None:
    url = platform.start_api()
    run = platform.submit("test.supervised", steps=6, step_s=0.5, crash_at=3)
    platform.finished(run)
    whole = httpx.get(f"{url}/v1/runs/{run}/logs", headers=HEADERS).json()["items"]
    assert {item["attempt"] for item in whole} == {1, 2}
    paged, cursor = [], "0.000000.0"
    while cursor:
        page = httpx.get(f"{url}/v1/runs/{run}/logs", headers=HEADERS, params={"after": cursor, "limit": 1}).json()
        paged += page["items"]
        cursor = page["next_cursor"]
    assert paged == whole

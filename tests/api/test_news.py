"""The stream over all runs of a project: each committed event once, in one order, whoever commits when."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import httpx
import psycopg2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from uuid6 import uuid7

from services.api.news import BEGINNING, Place, lag_s, read_news
from shared.db.session import make_engine, transaction
from tests.support.platform import API_KEY, Platform

HEADERS = {"Authorization": f"Bearer {API_KEY}"}
ADD = (
    "INSERT INTO run_events (run_id, seq, attempt, type, data) "
    "SELECT %(run)s, coalesce(max(seq), 0) + 1, 1, 'notice', '{}' FROM run_events WHERE run_id = %(run)s RETURNING seq"
)


def _connect(platform: Platform) -> Any:
    return psycopg2.connect(platform.environment["FAULTLINE_DATABASE_URL"])


class Writer(threading.Thread):
    """Adds events to its own run; some transactions stay open for a while, some are rolled back."""

    def __init__(self, platform: Platform, run: UUID, seed: int) -> None:
        super().__init__()
        self.platform, self.run_id, self.random = platform, run, random.Random(seed)
        self.committed: list[tuple[UUID, int]] = []

    def run(self) -> None:
        with closing(_connect(self.platform)) as connection, connection.cursor() as cursor:
            for _ in range(40):
                written = []
                for _ in range(self.random.randint(1, 3)):
                    cursor.execute(ADD, {"run": str(self.run_id)})
                    written.append((self.run_id, cursor.fetchone()[0]))
                    time.sleep(self.random.choice([0, 0, 0.002, 0.02]))
                if self.random.random() < 0.25:
                    connection.rollback()
                else:
                    connection.commit()
                    self.committed += written


class Reader(threading.Thread):
    """Reads on from where the last read ended, in pieces of its own size, until told that all is written."""

    def __init__(self, platform: Platform, scan: int) -> None:
        super().__init__()
        self.platform, self.scan = platform, scan
        self.all_written = threading.Event()
        self.seen: list[tuple[UUID, int]] = []

    def run(self) -> None:
        engine = make_engine(self.platform.settings.database_url, pool_size=1)
        place, last_round = BEGINNING, False
        while True:
            with transaction(engine) as session:
                rows, end, more = read_news(session, place, [self.platform.caller.project_id], self.scan)
            self.seen += [(row.run_id, row.seq) for row in rows]
            if end == place and last_round:
                break
            last_round = self.all_written.is_set() and not more
            place = end
        engine.dispose()


def test_readers_see_each_committed_event_once_and_in_the_same_order(platform: Platform) -> None:
    runs = [platform.submit("test.inline") for _ in range(8)]
    first = [(run, 1) for run in runs]
    writers = [Writer(platform, run, seed) for seed, run in enumerate(runs)]
    readers = [Reader(platform, scan) for scan in (1, 7, 2000)]
    for thread in (*readers, *writers):
        thread.start()
    for writer in writers:
        writer.join(60)
    for reader in readers:
        reader.all_written.set()
        reader.join(60)
    committed = sorted(first + [pair for writer in writers for pair in writer.committed])
    for reader in readers:
        assert sorted(reader.seen) == committed, "each once"
        assert reader.seen == readers[0].seen, "in one order"
        for run in runs:
            seqs = [seq for run_id, seq in reader.seen if run_id == run]
            assert seqs == sorted(seqs), "a run's events in their own order"


def test_a_transaction_that_stays_open_delays_later_events_and_loses_none(platform: Platform) -> None:
    early, late = platform.submit("test.inline"), platform.submit("test.inline")
    with closing(_connect(platform)) as slow, slow.cursor() as cursor:
        cursor.execute(ADD, {"run": str(early)})
        with closing(_connect(platform)) as quick, quick.cursor() as other:
            other.execute(ADD, {"run": str(late)})
            quick.commit()
        with transaction(platform.engine) as session:
            rows, end, _more = read_news(session, BEGINNING, [platform.caller.project_id])
            assert [(row.run_id, row.seq) for row in rows] == [(early, 1), (late, 1)], "the new ones wait"
            assert lag_s(session) > 0
        slow.commit()
    with transaction(platform.engine) as session:
        rows, _end, _more = read_news(session, end, [platform.caller.project_id])
        assert [(row.run_id, row.seq) for row in rows] == [(early, 2), (late, 2)], "in the order of their begin"
        assert lag_s(session) == 0


def test_another_project_sees_nothing_of_it_but_its_place_moves_on(platform: Platform) -> None:
    platform.submit("test.inline")
    with transaction(platform.engine) as session:
        rows, end, more = read_news(session, BEGINNING, [uuid7()])
    assert rows == []
    assert end > BEGINNING
    assert not more


def test_a_read_walks_the_index_from_its_place(platform: Platform) -> None:
    run = platform.submit("test.inline")
    with transaction(platform.engine) as session:
        session.execute(
            text(
                "INSERT INTO run_events (run_id, seq, attempt, type, data) "
                "SELECT :run, n, 1, 'notice', '{}' FROM generate_series(2, 20000) n"
            ),
            {"run": run},
        )
    platform.rows("SELECT 1 FROM run_events LIMIT 1")
    with transaction(platform.engine) as session:
        session.execute(text("ANALYZE run_events"))
        plan = session.execute(
            text(
                "EXPLAIN SELECT * FROM run_events WHERE (xid, id) > (CAST('1' AS xid8), 5) "
                "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT 2000"
            )
        )
        lines = "\n".join(plan.scalars())
    assert "run_events_in_order" in lines
    assert "Sort" not in lines


# -- over HTTP


def messages(answer: httpx.Response) -> Iterator[tuple[str, str, dict]]:
    """(id, event, data) of each message."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"])
            fields = {}


def take(url: str, count: int, last: str | None = None, **query: Any) -> list[tuple[str, str, dict]]:
    """So many messages of the project's stream, then it is cut."""
    headers = HEADERS | ({"Last-Event-ID": last} if last else {})
    with httpx.stream("GET", f"{url}/v1/events", params=query, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        stream = messages(answer)
        return [next(stream) for _ in range(count)]


def test_a_watcher_of_the_project_that_is_cut_again_and_again_sees_each_event_once(platform: Platform) -> None:
    platform.start_core()
    platform.start_worker("w1")
    url = platform.start_api()
    (last, event, data), *_ = take(url, 1)
    assert (event, data) == ("start", {"cursor": last})
    runs = [platform.submit("test.inline", steps=3, journal=f"j{n}") for n in range(3)]
    for run in runs:
        platform.finished(run)
    written = {(str(row["run_id"]), row["seq"]) for row in platform.rows("SELECT run_id, seq FROM run_events")}
    seen: list[tuple[str, int]] = []
    while len(seen) < len(written):
        _start, *news = take(url, 1 + min(4, len(written) - len(seen)), last)
        seen += [(data["run_id"], data["seq"]) for _id, _event, data in news]
        last = news[-1][0]
        assert all(data["cursor"] == id_ for id_, _event, data in news)
    assert len(seen) == len(set(seen))
    assert set(seen) == written


def test_filters_of_the_stream_choose_by_kind_type_parent_and_label(platform: Platform) -> None:
    url = platform.start_api()
    for number, label in enumerate("abb"):
        spec = {"name": f"d{number}", "units_per_fault": 1, "records_per_unit": 1}
        body = {"kind": "dataset.generate", "spec": spec, "labels": {"l": label}}
        assert httpx.post(f"{url}/v1/runs", json=body, headers=HEADERS).status_code == 202
    platform.submit("test.inline")
    start = "beginning"
    kinds = [data["kind"] for _id, event, data in take(url, 3, **{"from": start, "label": "l:b"}) if event != "start"]
    assert kinds == ["dataset.generate"] * 2
    kinds = [data["kind"] for _id, event, data in take(url, 2, **{"from": start, "kind": "test.inline"})[1:]]
    assert kinds == ["test.inline"]
    types = [event for _id, event, _data in take(url, 5, **{"from": start, "type": "state"})]
    assert types == ["start"] + ["state"] * 4


def test_pages_show_the_same_events_and_always_go_on(client: TestClient, platform: Platform) -> None:
    runs = [platform.submit("test.inline") for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get("/v1/events/page", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["run_id"] for item in page["items"]]
        if page["next_cursor"] == cursor:
            break
        cursor = page["next_cursor"]
    assert seen == [str(run) for run in runs]
    more = platform.submit("test.inline")
    page = client.get("/v1/events/page", params={"cursor": cursor}).json()
    assert [item["run_id"] for item in page["items"]] == [str(more)]


@pytest.mark.parametrize("given", ["1.2.3", "-1.5", "1e3.4", "9" * 20 + "." + "9" * 19, "99999999999.1", "x", "1.²"])
def test_a_place_that_is_none_is_refused(client: TestClient, given: str) -> None:
    for answer in (
        client.get("/v1/events/page", params={"cursor": given}),
        client.get("/v1/events", headers=[(b"Last-Event-ID", given.encode("utf-8"))]),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["remedy"]


def test_place_orders_by_transaction_then_event() -> None:
    assert Place(2, 1) > Place(1, 9) > Place(1, 8) > BEGINNING

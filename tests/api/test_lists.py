"""Lists of runs, datasets and models: filters, search, order, cursors, and that no page reads the whole table."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from services.api.search import Order, Paging, RunFilter, find_runs
from shared.contracts.states import RunState
from shared.db.session import transaction
from tests.support.many import fill
from tests.support.platform import Platform

COUNT = 300


@pytest.fixture
def rows(platform: Platform) -> list[dict[str, Any]]:
    return fill(platform, COUNT)


def listed(client: TestClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items, over all pages."""
    items: list[dict[str, Any]] = []
    while True:
        answer = client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [int(item["spec"]["name"].split()[2]) for item in items]


FILTERS: dict[str, tuple[dict[str, Any], Any]] = {
    "one kind": ({"kind": "model.evaluate"}, lambda n: n % 1000 == 7),
    "two kinds": ({"kind": ["model.evaluate", "model.train"]}, lambda n: n % 1000 == 7 or n % 2 == 0),
    "a state": ({"state": "quarantined"}, lambda n: n % 400 == 1),
    "two states": ({"state": ["quarantined", "failed"]}, lambda n: n % 400 == 1 or n % 10 == 4),
    "a pool": ({"pool": "analysis"}, lambda n: n % 700 == 5),
    "a label": ({"label": "team:night"}, lambda n: n % 500 == 9),
    "two labels": ({"label": ["team:night", "machine:m9"]}, lambda n: n % 500 == 9),
    "a label whose value has a colon": ({"label": "team:night:shift"}, lambda n: False),
    "a failure family": ({"error_signature": "family 4"}, lambda n: n % 30 == 4),
    "a time": ({"created_after": "2023-11-14T22:15:00Z"}, lambda n: n >= 100),
    "a span of time": (
        {"created_after": "2023-11-14T22:15:00Z", "created_before": "2023-11-14T23:15:50+01:00"},
        lambda n: 100 <= n < 150,
    ),
    "a text of the name": ({"q": "NUMBER 29"}, lambda n: str(n).startswith("29")),
    "a text of the error": ({"q": "bearing 4 broke"}, lambda n: n == 4),
    "a text of a label": ({"q": "nigh"}, lambda n: n % 500 == 9),
    "signs that mean something to LIKE": ({"q": "50%_done"}, lambda n: n % 5000 == 3),
    "a percent sign alone": ({"q": "%"}, lambda n: n % 5000 == 3),
    "a backslash": ({"q": "\\"}, lambda n: False),
    "several at once": ({"q": "run", "state": "failed", "kind": "model.train"}, lambda n: n % 10 == 4),
    "a principal": ({"created_by": str(uuid4())}, lambda n: False),
    "a parent of nobody": ({"parent": str(uuid4())}, lambda n: False),
    "a schedule of nobody": ({"schedule": str(uuid4())}, lambda n: False),
}


@pytest.mark.parametrize("case", FILTERS, ids=[name.replace(" ", "-") for name in FILTERS])
def test_a_filter_shows_what_fits_and_nothing_else(client: TestClient, rows: list[dict[str, Any]], case: str) -> None:
    query, fits = FILTERS[case]
    expected = [n for n in range(COUNT, 0, -1) if fits(n)]
    assert numbers(listed(client, "/v1/runs", limit=40, **query)) == expected


def test_the_oldest_come_first_if_asked_for(client: TestClient, rows: list[dict[str, Any]]) -> None:
    assert numbers(listed(client, "/v1/runs", limit=70, order="oldest")) == list(range(1, COUNT + 1))


def test_children_and_retries_are_found_by_the_run_they_belong_to(
    client: TestClient, rows: list[dict[str, Any]]
) -> None:
    first = str(rows[0]["id"])
    assert numbers(listed(client, "/v1/runs", parent=first)) == [277, 177, 77]
    assert numbers(listed(client, "/v1/runs", retry_of=first)) == []


def test_the_beginning_of_an_id_finds_its_run(client: TestClient, rows: list[dict[str, Any]]) -> None:
    assert numbers(listed(client, "/v1/runs", q=str(rows[41]["id"])[:13].upper())) == [42]


def test_a_cursor_is_refused_by_a_list_with_other_filters(client: TestClient, rows: list[dict[str, Any]]) -> None:
    cursor = client.get("/v1/runs", params={"state": "failed", "limit": 5}).json()["next_cursor"]
    for query in ({}, {"state": "succeeded"}, {"state": "failed", "order": "oldest"}, {"state": "failed", "q": "x"}):
        answer = client.get("/v1/runs", params={**query, "cursor": cursor})
        assert answer.status_code == 422, query
        assert "other filters" in answer.json()["detail"]
    assert client.get("/v1/models", params={"cursor": cursor}).status_code == 422


def test_runs_that_come_while_a_list_is_read_do_not_shift_its_pages(
    client: TestClient, platform: Platform, rows: list[dict[str, Any]]
) -> None:
    page = client.get("/v1/runs", params={"limit": 10}).json()
    platform.submit("test.inline")
    following = client.get("/v1/runs", params={"limit": 10, "cursor": page["next_cursor"]}).json()
    assert numbers(page["items"] + following["items"]) == list(range(COUNT, COUNT - 20, -1))


def test_a_search_beyond_the_window_goes_on_with_its_cursor(
    platform: Platform, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.search.WINDOW", 50)
    found, cursor, pages = [], None, 0
    with transaction(platform.engine) as session:
        while pages == 0 or cursor:
            paging = Paging(cursor=cursor, limit=5)
            runs, cursor = find_runs(session, platform.caller.project_id, RunFilter(q="number 1"), paging)
            found += [run.spec["name"].split()[2] for run in runs]
            pages += 1
    assert [int(n) for n in found] == [n for n in range(COUNT, 0, -1) if str(n).startswith("1")]
    assert pages > COUNT / 50


def test_datasets_are_found_by_name_and_state(client: TestClient, platform: Platform) -> None:
    for name in ("alpha", "beta_100%", "gamma"):
        body = {"name": name, "units_per_fault": 1, "records_per_unit": 1}
        if "%" in name:
            body["name"] = "beta-1"
        assert client.post("/v1/datasets/generate", json=body).status_code == 202
    assert [item["name"] for item in listed(client, "/v1/datasets", q="BETA", limit=1)] == ["beta-1"]
    assert [item["name"] for item in listed(client, "/v1/datasets", limit=1)] == ["gamma", "beta-1", "alpha"]
    assert listed(client, "/v1/datasets", order="oldest", limit=2)[0]["name"] == "alpha"
    assert len(listed(client, "/v1/datasets", state="queued")) == 3
    assert listed(client, "/v1/datasets", state="succeeded") == []
    assert listed(client, "/v1/models", q="alpha") == []


PLANNED = {
    "no filter": RunFilter(),
    "a rare state": RunFilter(state=[RunState.QUARANTINED]),
    "two states": RunFilter(state=[RunState.QUARANTINED, RunState.RUNNING]),
    "a rare kind": RunFilter(kind=["model.evaluate"]),
    "a kind of which there is none": RunFilter(kind=["dataset.import"]),
    "a pool": RunFilter(pool="analysis"),
    "a rare label": RunFilter(label=["team:night"]),
    "a label of most runs": RunFilter(label=["team:day"]),
    "a parent": RunFilter(parent=uuid4()),
    "a retry": RunFilter(retry_of=uuid4()),
    "a schedule": RunFilter(schedule=uuid4()),
    "a family": RunFilter(error_signature="family 4"),
    "a principal": RunFilter(created_by=uuid4()),
    "a text of which there is none": RunFilter(q="zebra"),
    "a text in a state": RunFilter(q="bearing 4 broke", state=[RunState.FAILED]),
}


def test_no_list_reads_the_table_of_runs_from_end_to_end(platform: Platform) -> None:
    fill(platform, 20_000)
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        statements.append((statement, values))

    plans = {}
    for name, wanted in PLANNED.items():
        for order in Order:
            statements.clear()
            event.listen(platform.engine, "before_cursor_execute", note)
            with transaction(platform.engine) as session:
                find_runs(session, platform.caller.project_id, wanted, Paging(order=order))
                event.remove(platform.engine, "before_cursor_execute", note)
                asked = list(statements)
                for statement, values in asked:
                    plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values).scalars().all()
                    plans[f"{name}, {order}"] = "\n".join(plan)
            assert asked
    scanned = {name: plan for name, plan in plans.items() if "Seq Scan on runs" in plan}
    assert not scanned, "\n\n".join(f"{name}\n{plan}" for name, plan in scanned.items())


@pytest.mark.parametrize("asked", ["runs?created_after", "runs?created_before", "audit?since", "failures?since"])
def test_an_offset_that_postgres_does_not_know_is_a_time_all_the_same(client: TestClient, asked: str) -> None:
    assert client.get(f"/v1/{asked}=2026-01-01T00:00:00-16:40").status_code == 200

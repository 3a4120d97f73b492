"""Campaigns over the API: begun, steered, looked at, refused."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from shared.contracts.roles import Role
from tests.api.conftest import MakeClient
from tests.api.people import member, project
from tests.hpo.support import Campaigns
from tests.support.platform import Platform
from tests.support.seeking import campaign

X = {"type": "float", "low": -5.0, "high": 5.0}


@pytest.fixture
def campaigns(platform: Platform) -> Campaigns:
    return Campaigns(platform)


def begun(client: TestClient, *, status: int = 202, pool: str | None = None, **fields: Any) -> dict[str, Any]:
    """Begin a search; its view, or the problem."""
    answer = client.post("/v1/campaigns", json={"spec": campaign(**fields), "pool": pool})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def asked(client: TestClient, path: str, body: Any = None, status: int = 202) -> dict[str, Any]:
    answer = client.post(f"/v1/campaigns/{path}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def shown(client: TestClient, path: str = "search", **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/campaigns/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_campaign_is_begun_shown_by_name_and_listed_newest_first(client: TestClient) -> None:
    answer = client.post("/v1/campaigns", json={"spec": campaign(sampler={"type": "auto"}), "labels": {"a": "b"}})
    view = answer.json()
    assert answer.headers["Location"] == f"/v1/campaigns/{view['id']}"
    assert (view["state"], view["sampler"], view["counts"]["total"]) == ("waiting", "gp", 0)
    assert shown(client) == shown(client, view["id"]) == view
    second = begun(client, name="second")
    page = client.get("/v1/campaigns", params={"limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [second["id"]]
    rest = client.get("/v1/campaigns", params={"cursor": page["next_cursor"]}).json()
    assert ([item["id"] for item in rest["items"]], rest["next_cursor"]) == ([view["id"]], None)
    parent = client.get(f"/v1/runs/{view['id']}").json()
    assert (parent["kind"], parent["labels"], parent["children"]["total"]) == ("campaign", {"a": "b"}, 0)


def test_it_tries_its_points_and_tells_of_each_once_more_only_when_it_changed(
    client: TestClient, campaigns: Campaigns
) -> None:
    view = begun(client, budget={"trials": 5})
    campaigns.drive(view["id"])
    ended = shown(client)
    assert (ended["state"], ended["counts"]["complete"], ended["reason"] is None) == ("succeeded", 5, False)
    trials = shown(client, "search/trials")["items"]
    assert [trial["number"] for trial in trials] == list(range(5))
    best = min(trials, key=lambda trial: trial["values"][0])
    assert ended["best"]["number"] == best["number"]
    assert shown(client, "search/trials", state=["failed", "pruned"])["items"] == []
    assert len(shown(client, "search/trials", state="complete")["items"]) == 5
    newest = max(trial["revision"] for trial in trials)
    assert shown(client, "search/trials", changed_since=newest)["items"] == []
    last = sorted(trials, key=lambda trial: trial["revision"])[-1]
    assert last in shown(client, "search/trials", changed_since=newest - 1)["items"]


@pytest.mark.parametrize("query", [{}, {"changed_since": 0}])
def test_pages_of_trials_hold_each_of_them_once(
    client: TestClient, campaigns: Campaigns, query: dict[str, int]
) -> None:
    campaigns.drive(begun(client, budget={"trials": 7})["id"])
    found: list[int] = []
    cursor = None
    while True:
        page = shown(client, "search/trials", limit=2, **query, **({"cursor": cursor} if cursor else {}))
        found += [trial["number"] for trial in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(found) == list(range(7))


def test_a_cursor_of_another_list_is_refused(client: TestClient, campaigns: Campaigns) -> None:
    campaigns.drive(begun(client, budget={"trials": 3})["id"])
    cursor = shown(client, "search/trials", limit=1)["next_cursor"]
    for query in ({"state": "complete"}, {"changed_since": 0}):
        answer = client.get("/v1/campaigns/search/trials", params={"cursor": cursor, **query})
        assert answer.status_code == 422, answer.text


def test_trials_are_a_table_with_a_column_for_each_parameter_and_no_formulas(
    client: TestClient, campaigns: Campaigns
) -> None:
    space = {"x": X, "journal": {"type": "categorical", "choices": ["=1+1", "-x", "plain, or not"]}}
    view = begun(client, name="table", space=space, sampler={"type": "random"}, budget={"trials": 12})
    campaigns.drive(view["id"])
    answer = client.get("/v1/campaigns/table/trials.csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert 'filename="table.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["number"]) for row in rows] == list(range(12))
    assert {row["params.journal"] for row in rows} == {"'=1+1", "'-x", "plain, or not"}
    trials = shown(client, "table/trials")["items"]
    for row, trial in zip(rows, trials, strict=True):
        assert float(row["params.x"]) == trial["params"]["x"]
        assert float(row["values.value"]) == trial["values"][0]


def test_a_point_that_a_person_asks_for_is_tried_next(client: TestClient, campaigns: Campaigns) -> None:
    view = begun(client, budget={"trials": 2})
    trial = asked(client, "search/trials", {"params": {"x": 0.5}}, 201)
    assert (trial["number"], trial["state"], trial["origin"]) == (0, "enqueued", "person")
    trials = campaigns.drive(view["id"])
    assert [one["params"]["x"] for one in trials if one["origin"] == "person"] == [0.5]
    for params, place in (({"x": 9}, "params.x"), ({"w": 1}, "params.w")):
        begun(client, name=f"of-{place[-1]}")
        assert place in asked(client, f"of-{place[-1]}/trials", {"params": params}, 422)["detail"]


def test_it_rests_goes_on_and_stops_with_what_it_has(client: TestClient, campaigns: Campaigns) -> None:
    view = begun(client, budget={"trials": 50})
    campaigns.advance(view["id"])
    campaigns.play(view["id"])
    assert asked(client, "search/pause")["paused"] is True
    assert asked(client, "search/resume")["paused"] is False
    campaigns.advance(view["id"])
    assert asked(client, "search/stop", {"running": "cancel"})["stopping"] == "cancel"
    campaigns.drive(view["id"])
    ended = shown(client)
    assert (ended["state"], ended["counts"]["total"]) == ("succeeded", 4)
    refused = asked(client, "search/resume", status=409)
    assert refused["remedy"]
    assert "Fork it" in asked(client, "search/stop", status=409)["remedy"]


def test_its_budget_is_extended_by_who_has_seen_it(client: TestClient) -> None:
    begun(client, budget={"trials": 3, "wall_s": 600})
    tag = client.get("/v1/campaigns/search").headers["ETag"]
    changed = client.patch("/v1/campaigns/search", json={"budget": {"trials": 9}}, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["budget"]["trials"], changed.json()["budget"]["wall_s"]) == (9, 600)
    late = client.patch("/v1/campaigns/search", json={"max_parallel": 9}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert shown(client)["max_parallel"] == 2


def test_a_fork_knows_the_trials_of_the_campaign_that_it_is_like(client: TestClient, campaigns: Campaigns) -> None:
    campaigns.drive(begun(client, budget={"trials": 3})["id"])
    answer = asked(client, "search/fork", {"name": "again", "changes": {"budget": {"trials": 2}}})
    assert (answer["name"], answer["counts"]["carried"], answer["budget"]["trials"]) == ("again", 3, 2)
    wrong = asked(client, "search/fork", {"name": "bad", "changes": {"max_parallel": -1}}, 422)
    assert wrong["detail"].startswith("changes.max_parallel")
    assert "changes.colour" in asked(client, "search/fork", {"name": "bad", "changes": {"colour": 1}}, 422)["detail"]
    assert asked(client, "search/fork", {"name": "again"}, 409)["remedy"]


def test_a_campaign_is_neither_cloned_nor_retried_but_forked(client: TestClient, campaigns: Campaigns) -> None:
    view = begun(client, budget={"trials": 1})
    campaigns.drive(view["id"])
    for verb in ("clone", "retry"):
        answer = client.post(f"/v1/runs/{view['id']}/{verb}", json={})
        assert answer.status_code == 409, answer.text
        assert "Fork it" in answer.json()["remedy"]


def test_nobody_sees_the_campaign_of_another_project(client: TestClient) -> None:
    view = begun(client)
    stranger = member(project(client, "other"), client, "stranger", Role.OWNER)
    for path in ("search", view["id"], "search/trials", f"{view['id']}/trials.csv"):
        assert stranger("GET", f"/v1/campaigns/{path}").status_code == 404
    assert stranger("POST", f"/v1/campaigns/{view['id']}/stop").status_code == 404
    forked = stranger("POST", "/v1/campaigns", json={"spec": campaign(warm_start=[view["id"]])})
    assert (forked.status_code, "warm_start" in forked.json()["detail"]) == (404, True)


TRAINING: dict[str, Any] = {
    "kind": "model.train",
    "base": {"dataset_id": str(uuid4()), "recipe": {"type": "cnn1d"}},
    "objectives": [{"result": "validation_accuracy"}],
}
GRID = {"type": "grid"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an empty space": ({"space": {}}, "space"),
    "a range upside down": ({"space": {"x": X | {"low": 9}}}, "space.x"),
    "a range of one value": ({"space": {"x": X | {"low": 5}}}, "space.x"),
    "a logarithm of zero": ({"space": {"x": X | {"low": 0, "log": True}}}, "space.x"),
    "a step and a logarithm": ({"space": {"x": X | {"low": 1, "log": True, "step": 1}}}, "space.x"),
    "a condition on nothing": ({"space": {"x": X | {"when": {"kind": ["a"]}}}}, "space.x.when"),
    "a condition on what never is": (
        {"space": {"x": X | {"when": {"y": [99]}}, "y": X}},
        "space.x.when.y",
    ),
    "conditions in a circle": (
        {"space": {"x": X | {"when": {"y": [1.0]}}, "y": X | {"when": {"x": [1.0]}}}},
        "space.x.when",
    ),
    "a grid that is larger than its budget": (
        {"space": {"x": X | {"step": 0.1}}, "sampler": GRID, "budget": {"trials": 100}},
        "space",
    ),
    "a grid without end": ({"space": {"x": X}, "sampler": GRID}, "space.x"),
    "a parameter that the spec has not": ({"space": {"colour": X}}, "space.colour"),
    "a value that the spec refuses": ({"space": {"x": X | {"high": 500}}}, "space.x"),
    "a parameter that the model has not": (TRAINING | {"space": {"recipe.trees": X}}, "space.recipe.trees"),
    "a rate that the model refuses": (TRAINING | {"space": {"recipe.learning_rate": X}}, "space.recipe.learning_rate"),
    "a result that there is not": ({"objectives": [{"result": "speed"}]}, "objectives.0.result"),
    "a limit on what there is not": ({"constraints": [{"result": "speed", "max": 1}]}, "constraints.0.result"),
    "a base value that is searched": ({"base": {"x": 1.0}}, "base.x"),
    "a base that the spec refuses": ({"base": {"colour": 1}}, "base.colour"),
    "a name for its trials": ({"base": {"name": "n"}}, "base.name"),
    "cmaes over words": (
        {"space": {"x": X, "kind": {"type": "categorical", "choices": ["a", "b"]}}, "sampler": {"type": "cmaes"}},
        "sampler",
    ),
    "hours of a GPU that is not there": ({"budget": {"gpu_hours": 1}}, "budget.gpu_hours"),
    "a price that is not asked": ({"budget": {"cost": 1}}, "budget.cost"),
    "nothing that would end it": ({"budget": {}}, "budget"),
    "several objectives and a pruner": (
        {"objectives": [{"result": "value"}, {"result": "cost"}], "pruner": {"type": "asha"}},
        "pruner",
    ),
    "a kind that there is not": ({"kind": "no.such"}, "no.such"),
    "a kind that is no trial": ({"kind": "campaign"}, "campaign"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_refused_at_once_with_its_place_and_a_remedy(
    client: TestClient, platform: Platform, name: str
) -> None:
    fields, place = BAD[name]
    problem = begun(client, status=422, **fields)
    assert place in problem["detail"], problem
    assert problem["remedy"]
    assert platform.rows("SELECT 1 FROM runs") == []


def test_a_campaign_whose_input_is_not_there_is_refused(client: TestClient) -> None:
    space = {"recipe.width": {"type": "int", "low": 8, "high": 32}}
    assert "dataset" in begun(client, status=404, **TRAINING, space=space)["detail"]


def test_one_key_begins_one_campaign_and_one_name_is_taken_once(client: TestClient) -> None:
    once = {"Idempotency-Key": "one"}
    first, again = (client.post("/v1/campaigns", json={"spec": campaign()}, headers=once) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert "named 'search' already" in begun(client, status=409)["detail"]


def test_the_best_trial_can_be_asked_for_again_as_it_is(client: TestClient, campaigns: Campaigns) -> None:
    view = begun(client, budget={"trials": 3}, base={"cost": 3.0})
    assert client.get("/v1/campaigns/search/best").status_code == 404
    trials = campaigns.drive(view["id"])
    best = shown(client, "search/best")
    assert (best["kind"], best["pool"], best["spec"]["cost"]) == ("test.seek", "test", 3.0)
    assert best["spec"]["x"] == min(trials, key=lambda trial: trial["scores"][0])["params"]["x"]
    again = client.post("/v1/runs", json=best)
    assert (again.status_code, again.json()["spec"]) == (202, best["spec"]), again.text


def test_eager_mode_searches_before_it_answers(make_client: MakeClient) -> None:
    client = make_client(CELERY_ALWAYS_EAGER="true", FAULTLINE_HEARTBEAT_S="1", FAULTLINE_LEASE_S="30")
    made = begun(
        client,
        kind="dataset.generate",
        base={"units_per_fault": 1, "records_per_unit": 1, "duration_s": 0.5},
        space={"seed": {"type": "int", "low": 1, "high": 9}},
        objectives=[{"result": "records"}],
        budget={"trials": 3},
    )
    assert (made["state"], made["counts"]["complete"]) == ("succeeded", 3), made
    assert shown(client, "search/best")["spec"]["seed"] == made["best"]["params"]["seed"]

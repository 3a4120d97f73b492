"""Failures by family, and one action on many runs."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient

from shared.contracts.causes import Cause
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.db.session import transaction
from shared.runs import sync
from shared.runs.errors import failure, named_cause
from tests.api.test_batches import batch, run_named
from tests.api.test_lifecycle import asked, submitted
from tests.support.platform import Platform


def fail(platform: Platform, run: dict[str, Any], message: str, state: RunState = RunState.FAILED) -> None:
    """End a queued run as a worker would."""
    with transaction(platform.engine) as session:
        assert sync.claim(session, UUID(run["id"]), run["attempt"], "w", 30)
        row = session.get_one(Run, UUID(run["id"]), populate_existing=True)
        error = named_cause("BadFile", message, "Send another one.", Cause.BAD_INPUT)
        assert sync.finish(session, row.id, state, failure(row, error), attempt=row.attempt)


def failures(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/failures", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_failures_that_look_the_same_are_one_family(client: TestClient, platform: Platform) -> None:
    runs = [submitted(client, name=f"d{index}") for index in range(4)]
    for index, run in enumerate(runs[:3]):
        fail(platform, run, f"The file 'f{index}.mat' holds {index} signals.")
    fail(platform, runs[3], "Something else.", RunState.QUARANTINED)
    other, family = failures(client)["items"]
    assert (other["count"], family["count"], family["not_retried"]) == (1, 3, 3)
    assert (family["kinds"], family["cause"]) == (["dataset.generate"], "bad_input")
    assert family["message"] == "The file 'f2.mat' holds 2 signals."
    assert family["run_ids"] == [run["id"] for run in reversed(runs[:3])]
    assert family["oldest"] < family["newest"]
    shown = client.get(f"/v1/runs/{runs[0]['id']}").json()
    assert (shown["error_signature"], shown["cause"]) == (family["signature"], "bad_input")


def test_families_are_paged_and_can_be_asked_since_a_time(client: TestClient, platform: Platform) -> None:
    for index, word in enumerate(["one", "two", "three"]):
        fail(platform, submitted(client, name=f"d{index}"), word)
    first = failures(client, limit=2)
    second = failures(client, limit=2, cursor=first["next_cursor"])
    assert [group["message"] for group in first["items"] + second["items"]] == ["three", "two", "one"]
    assert second["next_cursor"] is None
    since = failures(client, since=first["items"][1]["newest"])["items"]
    assert [group["message"] for group in since] == ["three", "two"]
    for bad in ("x", "2026-99-01T00:00:00.000000Z~0123456789abcdef"):
        answer = client.get("/v1/failures", params={"cursor": bad})
        assert (answer.status_code, bool(answer.json()["remedy"])) == (422, True)


def test_a_family_is_retried_once_and_what_is_refused_is_said(client: TestClient, platform: Platform) -> None:
    runs = [submitted(client, name=f"d{index}") for index in range(3)]
    for run in runs:
        fail(platform, run, "The file 'x' is broken.")
    submitted(client, name="d1")  # somebody took the name
    [family] = failures(client)["items"]
    answer = client.post(f"/v1/failures/{family['signature']}/retry")
    retried = answer.json()
    assert (answer.status_code, len(retried["run_ids"]), retried["left"]) == (202, 2, 0)
    assert [refusal["run_id"] for refusal in retried["refused"]] == [runs[1]["id"]]
    assert "named 'd1' already" in retried["refused"][0]["reason"]
    assert {client.get(f"/v1/runs/{new}").json()["retry_of"] for new in retried["run_ids"]} == {
        runs[0]["id"],
        runs[2]["id"],
    }
    again = client.post(f"/v1/failures/{family['signature']}/retry").json()
    assert (again["run_ids"], len(again["refused"])) == ([], 1)
    assert failures(client)["items"][0]["not_retried"] == 1


def test_the_retry_of_a_family_is_bounded_and_says_what_is_left(client: TestClient, platform: Platform) -> None:
    runs = [submitted(client, name=f"d{index}") for index in range(3)]
    for run in runs:
        fail(platform, run, "same")
    signature = failures(client)["items"][0]["signature"]
    retried = client.post(f"/v1/failures/{signature}/retry", params={"limit": 2}).json()
    assert (len(retried["run_ids"]), retried["left"]) == (2, 1)


def test_a_family_that_is_not_there_is_not_found(client: TestClient) -> None:
    assert client.post(f"/v1/failures/{'0' * 16}/retry").status_code == 404
    assert client.post("/v1/failures/XYZ/retry").status_code == 422


def test_a_parent_is_in_no_family_its_children_are(client: TestClient, platform: Platform) -> None:
    parent = batch(client, [run_named("a"), run_named("b")])
    [first, _second] = platform.rows("SELECT * FROM runs WHERE parent_id = :id ORDER BY id", id=parent["id"])
    fail(platform, {"id": str(first["id"]), "attempt": 1}, "broken")
    asked(client, parent, "cancel")
    [family] = failures(client)["items"]
    assert (family["count"], family["kinds"]) == (1, ["dataset.generate"])


def act(client: TestClient, action: str, runs: list[str], status: int = 200) -> dict[str, Any]:
    answer = client.post("/v1/runs/actions", json={"action": action, "run_ids": runs})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_one_action_is_done_to_many_and_refused_where_it_does_not_fit(client: TestClient) -> None:
    ids = [submitted(client, name=f"d{index}")["id"] for index in range(3)]
    assert act(client, "pause", ids)["done"] == ids
    assert act(client, "resume", [*ids, ids[0]])["done"] == ids, "naming a run twice is naming it once"
    stranger = str(uuid4())
    cancelled = act(client, "cancel", [ids[0], stranger])
    assert (cancelled["done"], cancelled["refused"][0]["run_id"]) == ([ids[0]], stranger)
    refused = act(client, "pause", ids)
    assert (refused["done"], refused["refused"][0]["run_id"]) == (ids[1:], ids[0])
    assert "has ended (cancelled)" in refused["refused"][0]["reason"]
    retried = act(client, "retry", ids)
    assert (retried["done"], len(retried["refused"])) == ([ids[0]], 2)
    new = client.get(f"/v1/runs/{retried['made'][ids[0]]}").json()
    assert (new["retry_of"], new["state"]) == (ids[0], "queued")


def test_an_action_on_a_parent_and_its_children_at_once_is_one_action(client: TestClient, platform: Platform) -> None:
    parent = batch(client, [run_named("a"), run_named("b")])
    children = [str(row["id"]) for row in platform.rows("SELECT id FROM runs WHERE parent_id IS NOT NULL")]
    everything = [*children, parent["id"]]
    for action in ("pause", "resume", "cancel"):
        assert sorted(act(client, action, everything)["done"]) == sorted(everything)
    assert {row["state"] for row in platform.rows("SELECT state FROM runs")} == {"cancelled"}


@pytest.mark.parametrize("body", [{"action": "clone"}, {"run_ids": []}, {"run_ids": ["x"]}, {"more": 1}])
def test_an_action_that_makes_no_sense_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/v1/runs/actions", json={"action": "cancel", "run_ids": [str(uuid4())]} | body)
    assert answer.status_code == 422


def test_too_many_runs_at_once_are_refused(client: TestClient) -> None:
    act(client, "cancel", [str(uuid4()) for _ in range(1001)], 422)

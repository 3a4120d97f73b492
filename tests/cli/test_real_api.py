"""The SDK and the commands against the real API and a real database."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import Result

from services.cli.sdk import ApiConflict, ApiForbidden, ApiInvalid, ApiNotFound, ApiUnauthorized, Client, RunFilter
from services.cli.sdk.watching import NewsFilter
from shared.contracts.batches import BatchRequest
from shared.contracts.pools import Block
from shared.contracts.roles import Role, Scope
from shared.contracts.schedules import ScheduleRequest
from shared.contracts.specs import GenerateSpec
from shared.contracts.states import RunState
from shared.contracts.views import SubmitRequest
from tests.cli.conftest import REAL_URL, InProcess, LosesAnswers, MakeClient
from tests.support.platform import API_KEY

Faultline = Callable[..., Result]


def run_of(client: Client, name: str, **more: Any) -> Any:
    """A run that waits, for there are no workers."""
    return client.submit("dataset.generate", GenerateSpec(name=name), **more)


def document(result: Result) -> Any:
    """The one line of stdout, parsed."""
    assert result.exit_code == 0, result.output
    [line] = result.stdout.splitlines()
    return json.loads(line)


# -- the life of runs


def test_a_run_is_paused_resumed_cancelled_retried_and_cloned(client: Client):
    run = run_of(client, "d1")
    assert client.pause(run.id).state is RunState.PAUSED
    assert client.resume(run.id).state is RunState.QUEUED
    assert client.cancel(run.id).state is RunState.CANCELLED
    again = client.retry(run.id)
    assert (again.retry_of, again.state) == (run.id, RunState.QUEUED)
    clone = client.clone(run.id, {"name": "d2", "seed": 8}, priority=5, labels={"a": "b"})
    assert (clone.spec["name"], clone.spec["seed"], clone.priority, clone.labels) == ("d2", 8, 5, {"a": "b"})


def test_what_does_not_fit_the_state_is_a_conflict_with_a_remedy(client: Client):
    run = run_of(client, "d1")
    with pytest.raises(ApiConflict) as raised:
        client.retry(run.id)
    assert raised.value.remedy


def test_what_is_made_although_its_first_answer_is_lost_is_made_once_and_of_use(server: TestClient):
    client = Client(REAL_URL, API_KEY, transport=LosesAnswers(server), retries=1, sleep=lambda _: None)
    key = client.create_key("laptop").key
    assert Client(REAL_URL, key, transport=InProcess(server)).me().key_prefix == key[:10]
    assert [one.name for one in client.keys(limit=10)].count("laptop") == 1
    project = client.create_project("lab")
    assert Client(REAL_URL, project.key.key, transport=InProcess(server)).me().project == "lab"
    assert client.create_principal("ada").name == "ada"
    request = ScheduleRequest(name="nightly", cron="0 2 * * *", kind="dataset.generate", spec={"name": "n-{time}"})
    assert [client.create_schedule(request)] == client.schedules()


def test_one_key_of_the_callers_own_makes_one_run(client: Client):
    assert run_of(client, "d1", key="mine").id == run_of(client, "d1", key="mine").id


def test_runs_are_found_by_what_they_are(client: Client):
    first = run_of(client, "d1", labels={"sweep": "7"})
    second = run_of(client, "d2", priority=3)
    client.cancel(second.id)
    assert [run.id for run in client.runs(RunFilter(labels={"sweep": "7"}))] == [first.id]
    both = RunFilter(states=[RunState.QUEUED, RunState.CANCELLED], oldest_first=True)
    assert [run.id for run in client.runs(both)] == [first.id, second.id]
    assert client.runs(RunFilter(created_before=datetime.now(UTC) - timedelta(days=1))) == []
    assert [run.id for run in client.runs(RunFilter(text="d2"))] == [second.id]


def test_a_paused_pool_is_what_a_run_waits_for(client: Client):
    run = run_of(client, "d1")
    client.pause_pool("generation", "new disk")
    why = client.why(run.id)
    assert why.blocked_by is Block.POOL_PAUSED
    assert "new disk" in why.sentence
    assert not client.resume_pool("generation").paused


def test_a_batch_is_one_parent_whose_end_ends_its_runs(client: Client):
    runs = [SubmitRequest(kind="dataset.generate", spec={"name": name}) for name in ("b1", "b2")]
    parent = client.submit_batch(BatchRequest(runs=runs, policy="best_effort", labels={"sweep": "7"}))
    assert parent.children
    assert parent.children.total == 2
    assert {run.spec["name"] for run in client.runs(RunFilter(parent=parent.id))} == {"b1", "b2"}
    client.cancel(parent.id)
    assert {run.state for run in client.runs(RunFilter(parent=parent.id))} == {RunState.CANCELLED}


def test_one_action_on_many_runs_says_what_was_refused(client: Client):
    first, second = run_of(client, "d1"), run_of(client, "d2")
    client.cancel(second.id)
    result = client.act("cancel", [first.id, second.id])
    assert (result.done, [one.run_id for one in result.refused]) == ([first.id], [second.id])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2", "line 1"),
        ('"x"', "holds no batch"),
        ("{}", "runs"),
        ('{"runs": [{"kind": "nope", "spec": {}}]}', "nope"),
    ],
)
def test_a_batch_that_is_none_is_refused_with_its_line(real: Faultline, tmp_path: Path, text: str, reason: str):
    (tmp_path / "b.json").write_text(text)
    result = real("batches", "create", str(tmp_path / "b.json"))
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("│", " ").split())


def test_events_of_the_project_are_pages_each_event_once(client: Client, real: Faultline):
    runs = [run_of(client, f"d{number}") for number in range(3)]
    client.cancel(runs[0].id)
    page = client.news_page(NewsFilter(types=["state"]))
    assert {event.run_id for event in page.items} == {run.id for run in runs}
    assert client.news_page(cursor=page.next_cursor).items == []
    shown = [json.loads(line) for line in real("events", "--limit", "2", "--json").stdout.splitlines()]
    rest = [json.loads(line) for line in real("events", "--after", shown[-1]["cursor"], "--json").stdout.splitlines()]
    assert [event["seq"] for event in [*shown, *rest]] == [event.seq for event in client.news_page().items]


# -- access


def test_a_key_is_made_used_and_revoked(client: Client, make: MakeClient):
    made = client.create_key("laptop", scopes=[Scope.READ], expires_at=datetime.now(UTC) + timedelta(days=1))
    other = make(made.key)
    assert other.me().scopes == [Scope.READ]
    with pytest.raises(ApiForbidden):
        run_of(other, "d1")
    client.revoke_key(made.id)
    with pytest.raises(ApiUnauthorized):
        other.me()


def test_members_come_and_go(client: Client, make: MakeClient):
    ada = client.create_principal("ada")
    assert client.set_member("ada", Role.VIEWER).role is Role.VIEWER
    key = client.create_key("hers", principal="ada").key
    assert make(key).me().principal == ada.name
    client.remove_member("ada")
    with pytest.raises(ApiUnauthorized):
        make(key).me()


def test_a_project_is_made_limited_and_deleted(client: Client, make: MakeClient):
    made = client.create_project("lab")
    assert client.change_project("lab", max_running=4, gpu_hours_per_day=1.5).max_running == 4
    assert client.change_project("lab", max_running=None).max_running is None
    assert client.project("lab").gpu_hours_per_day == 1.5
    with pytest.raises(ApiConflict):
        client.create_project("lab")
    owner = make(made.key.key)
    owner.delete_project("lab")
    with pytest.raises(ApiNotFound):
        client.project("lab")


def test_a_field_that_is_refused_is_named(client: Client):
    with pytest.raises(ApiInvalid) as raised:
        client.http.post("/v1/keys", {"name": "", "nope": 1})
    assert raised.value.errors


# -- commands


def test_all_that_a_filter_finds_is_cancelled(real: Faultline, client: Client):
    runs = [run_of(client, f"d{number}", labels={"sweep": "7"}) for number in range(3)]
    other = run_of(client, "other")
    found = document(real("runs", "cancel", "--label", "sweep:7", "--state", "queued", "--yes", "--json"))
    assert set(found["done"]) == {str(run.id) for run in runs}
    assert found["refused"] == []
    assert client.run(other.id).state is RunState.QUEUED


def test_nothing_is_done_without_a_yes_where_nobody_can_be_asked(real: Faultline, client: Client):
    run = run_of(client, "d1")
    result = real("runs", "cancel", "--state", "queued")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert client.run(run.id).state is RunState.QUEUED


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["cancel"], "not said"),
        (["cancel", "last", "--state", "queued"], "Runs are named and a filter is given"),
        (["cancel", "--state", "succeeded", "--yes"], "cannot be asked"),
        (["cancel", "--label", "no:such", "--yes"], "No run fits"),
        (["cancel", "--label", "broken", "--yes"], "NAME:VALUE"),
        (["list", "--since", "yesterday"], "is no time"),
        (["clone", "last", "--set", "a.b=1", "--set", "a=2"], "says something else"),
    ],
)
def test_what_cannot_be_meant_is_refused(real: Faultline, client: Client, words: list[str], reason: str):
    run_of(client, "d1")
    result = real("runs", *words)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("│", " ").split())


def test_several_runs_are_named_and_those_that_cannot_are_told(real: Faultline, client: Client):
    first, second = run_of(client, "d1"), run_of(client, "d2")
    client.cancel(second.id)
    result = real("runs", "pause", str(first.id), str(second.id), "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["done"] == [str(first.id)]
    assert [entry["run_id"] for entry in found["refused"]] == [str(second.id)]


def test_a_clone_is_edited_by_paths(real: Faultline, client: Client):
    run_of(client, "d1")
    words = ["--name", "d2", "--set", "seed=9", "--set", "bearing.rollers=12", "--label", "a=b", "--json"]
    made = document(real("runs", "clone", "last", *words))
    assert (made["spec"]["seed"], made["spec"]["bearing"]["rollers"], made["labels"]) == (9, 12, {"a": "b"})


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list", "--since", "2h", "--kind", "dataset.generate"],
        ["runs", "pause", "last"],
        ["runs", "failures"],
        ["batches", "create", "BATCH"],
        ["batches", "list"],
        ["projects"],
        ["projects", "show", "default"],
        ["projects", "create", "lab"],
        ["projects", "set", "default", "--max-running", "4", "--gpu-hours-per-day", "none"],
        ["members"],
        ["principals"],
        ["principals", "create", "robot", "--kind", "service"],
        ["keys"],
        ["keys", "create", "laptop", "--days", "30", "--scope", "read"],
        ["workers"],
        ["schedules"],
        ["schedules", "create", "nightly", "--cron", "0 2 * * *", "--like", "last"],
        ["audit"],
        ["pools"],
        ["pools", "show", "generation"],
        ["pools", "pause", "generation", "--reason", "new disk"],
        ["pools", "resume", "generation"],
        ["runs", "why", "last"],
        ["top"],
        ["doctor"],
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_each_command_gives_one_document_or_a_picture(
    real: Faultline, client: Client, words: list[str], as_json: bool, tmp_path: Path
):
    run_of(client, "d1")
    batch = tmp_path / "batch.jsonl"
    batch.write_text(
        '{"kind": "dataset.generate", "spec": {"name": "b1"}}\n{"kind": "dataset.generate", "spec": {"name": "b2"}}\n'
    )
    words = [str(batch) if word == "BATCH" else word for word in words]
    result = real(*words, *(["--json"] if as_json else []))
    if words == ["doctor"]:  # nothing but the API runs
        assert result.exit_code == 1
        assert not as_json or json.loads(result.stdout)["checks"]
    elif as_json:
        document(result)
    else:
        assert result.exit_code == 0, result.output
        assert result.stdout.strip()


def test_a_dataset_is_deleted_when_nothing_needs_it(real: Faultline, client: Client):
    run = run_of(client, "d1")
    refused = real("datasets", "delete", "d1", "--yes")
    assert refused.exit_code == 2, "its run goes on"
    client.cancel(run.id)
    assert json.loads(real("datasets", "delete", "d1", "--yes", "--json").stdout)["name"] == "d1"
    assert client.datasets() == []
    gone = real("models", "delete", "d1", "--yes")
    assert (gone.exit_code, "no model" in gone.stderr) == (2, True)

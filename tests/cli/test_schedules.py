"""`faultline schedules` and the SDK beneath it: what is seen is what is changed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import Result

from services.cli.sdk import ApiConflict, Client, NotReachable
from services.cli.session import Session
from shared.contracts.roles import Role
from shared.contracts.schedules import ScheduleRequest
from shared.contracts.specs import GenerateSpec
from tests.cli.conftest import MakeClient
from tests.cli.fake_api import KEY, URL

Faultline = Callable[..., Result]
SPEC = {"name": "night-{time}", "units_per_fault": 2, "bearing": {"rollers": 12}}


def nightly(client: Client) -> None:
    """Make a schedule."""
    client.create_schedule(ScheduleRequest(name="nightly", cron="0 2 * * *", kind="dataset.generate", spec=SPEC))


def shown(result: Result) -> Any:
    """The one document on stdout."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def words(result: Result) -> str:
    """What was said on stderr, without its frame."""
    return " ".join(result.stderr.replace("│", " ").split())


def test_a_schedule_is_made_shown_changed_and_deleted(real: Faultline, client: Client):
    given = ["--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--kind", "dataset.generate", "--label", "a=b"]
    made = shown(real("schedules", "create", "nightly", *given, "--set", "bearing.rollers=12", "--json"))
    assert (made["spec"], made["labels"]) == ({"name": "nightly-{time}", "bearing": {"rollers": 12}}, {"a": "b"})
    picture = real("schedules", "show", "nightly").stdout
    assert "bearing.rollers = 12" in picture
    assert picture.count("02:00 CE") == 5
    change = ["--cron", "30 4 * * *", "--set", "seed=9", "--set", "bearing=null", "--name", "later", "--pool", "none"]
    changed = shown(real("schedules", "change", "nightly", *change, "--json"))
    assert (changed["cron"], changed["spec"]) == ("30 4 * * *", {"name": "nightly-{time}", "seed": 9})
    assert shown(real("schedules", "delete", "later", "--yes", "--json"))["name"] == "later"
    assert client.schedules() == []


def test_a_schedule_is_made_like_a_run_that_there_is(real: Faultline, client: Client):
    client.submit("dataset.generate", GenerateSpec(name="d1", seed=8), priority=3, labels={"a": "b"})
    made = shown(real("schedules", "create", "hourly", "--cron", "0 * * * *", "--like", "last", "--json"))
    assert (made["spec"]["name"], made["spec"]["seed"]) == ("hourly-{time}", 8)
    assert (made["priority"], made["labels"], made["pool"]) == (3, {"a": "b"}, None)


def test_a_schedule_rests_and_goes_on(real: Faultline, client: Client):
    nightly(client)
    assert "paused" in real("schedules", "pause", "nightly").stdout
    assert client.schedule("nightly").next_times == []
    assert "in " in real("schedules", "resume", "nightly").stdout
    assert len(client.schedule("nightly").next_times) == 5


def test_its_run_is_submitted_by_hand_and_found_among_its_runs(real: Faultline, client: Client):
    nightly(client)
    run = shown(real("schedules", "run", "nightly", "--json"))
    client.submit("dataset.generate", GenerateSpec(name="other"))
    assert [one["id"] for one in shown(real("schedules", "runs", "nightly", "--json"))] == [run["id"]]


def test_what_was_changed_since_it_was_shown_is_not_overwritten(real: Faultline, client: Client):
    nightly(client)
    tag = shown(real("schedules", "show", "nightly", "--json"))["tag"]
    client.change_schedule("nightly", cron="0 3 * * *")
    refused = real("schedules", "change", "nightly", "--cron", "0 4 * * *", "--if-match", tag)
    assert refused.exit_code == 2
    assert "not any more as it was seen" in words(refused)
    assert "`faultline schedules show nightly`" in words(refused)
    assert client.schedule("nightly").cron == "0 3 * * *"
    tag = shown(real("schedules", "show", "nightly", "--json"))["tag"]
    assert real("schedules", "change", "nightly", "--cron", "0 4 * * *", "--if-match", tag).exit_code == 0


def test_of_two_who_change_the_spec_at_once_the_second_is_refused(
    real: Faultline, client: Client, monkeypatch: pytest.MonkeyPatch
):
    nightly(client)
    see = Client.schedule_and_tag

    def see_before_another_changes_it(self: Client, ref: str) -> Any:
        seen = see(self, ref)
        client.change_schedule(ref, spec=SPEC | {"seed": 1})
        return seen

    monkeypatch.setattr(Client, "schedule_and_tag", see_before_another_changes_it)
    assert real("schedules", "change", "nightly", "--set", "units_per_fault=3").exit_code == 2
    assert client.schedule("nightly").spec == SPEC | {"seed": 1}


def test_a_schedule_that_changes_while_one_is_asked_is_not_deleted(
    real: Faultline, client: Client, monkeypatch: pytest.MonkeyPatch
):
    nightly(client)
    monkeypatch.setattr(Session, "confirm", lambda *_, **__: client.change_schedule("nightly", priority=5))
    refused = real("schedules", "delete", "nightly")
    assert refused.exit_code == 2
    assert client.schedule("nightly").priority == 5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["create", "x", "--cron", "0 2 * * *"], "What is to run is not said"),
        (["create", "x", "--cron", "0 2 * * *", "--kind", "model.train", "--like", "last"], "said twice"),
        (["create", "x", "--cron", "never", "--kind", "dataset.generate"], "has not five fields"),
        (["create", "x", "--cron", "0 0 31 2 *", "--kind", "dataset.generate"], "31 2"),
        (["create", "x", "--cron", "0 2 * * *", "--kind", "no.such"], "no.such"),
        (["create", "x", "--cron", "0 2 * * *", "--kind", "dataset.generate", "--timezone", "Mars/Base"], "Mars/Base"),
        (["create", "x", "--cron", "0 2 * * *", "--kind", "dataset.generate", "--set", "name=same"], "{time}"),
        (["create", "X Y", "--cron", "0 2 * * *", "--kind", "dataset.generate"], "name"),
        (["create", "nightly", "--cron", "0 2 * * *", "--kind", "dataset.generate"], "named 'nightly' already"),
        (["change", "nightly"], "Nothing is to be changed"),
        (["change", "nightly", "--set", "seed=soon"], "seed"),
        (["change", "nightly", "--pool", "nowhere"], "nowhere"),
        (["change", "nope", "--cron", "0 2 * * *"], "no schedule 'nope'"),
        (["show", "a/b"], "Nothing can be named"),
        (["delete", "nightly"], "--yes"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    real: Faultline, client: Client, given: list[str], reason: str
):
    nightly(client)
    before = client.schedules()
    result = real("schedules", *given)
    assert result.exit_code == 2
    assert reason in words(result)
    assert "do " in words(result)
    assert client.schedules() == before


def test_a_reader_sees_schedules_and_makes_none(client: Client, make: MakeClient):
    client.create_principal("ada")
    client.set_member("ada", Role.VIEWER)
    reader = make(client.create_key("hers", principal="ada").key)
    assert reader.schedules() == []


@pytest.mark.parametrize(("error", "tries"), [(httpx.ReadError("gone"), 1), (httpx.ConnectError("refused"), 2)])
def test_what_would_refuse_itself_is_repeated_only_if_the_first_try_cannot_have_arrived(error: Exception, tries: int):
    asked: list[httpx.Request] = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise error

    client = Client(URL, KEY, transport=httpx.MockTransport(fail), sleep=lambda _: None, retries=1)
    with pytest.raises(NotReachable):
        client.change_schedule("nightly", if_match="5f0c", cron="0 2 * * *")
    assert len(asked) == tries
    assert asked[0].headers["If-Match"] == '"5f0c"'


def test_a_name_that_is_taken_is_a_conflict(client: Client):
    nightly(client)
    with pytest.raises(ApiConflict):
        nightly(client)

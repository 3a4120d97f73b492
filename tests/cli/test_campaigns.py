"""`faultline campaigns` and the SDK beneath it, against the real API; trials end as a worker would end them."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import Result

from services.cli.commands.campaign_files import EXAMPLE, put
from services.cli.sdk import ApiConflict, Client
from services.cli.ui.campaign_live import Scene, chosen, frame
from services.cli.ui.campaigns import labels
from shared.contracts.campaigns import CampaignRequest, CampaignView, TrialState
from shared.contracts.specs import GenerateSpec
from tests.api.people import change
from tests.hpo.support import Campaigns
from tests.support.platform import Platform
from tests.support.seeking import campaign

Faultline = Callable[..., Result]


@pytest.fixture
def campaigns(platform: Platform) -> Campaigns:
    return Campaigns(platform)


@pytest.fixture
def begin(client: Client) -> Callable[..., CampaignView]:
    """Begins a campaign over `test.seek`."""

    def make(**fields: Any) -> CampaignView:
        return client.create_campaign(CampaignRequest.model_validate({"spec": campaign(**fields)}))

    return make


Begin = Callable[..., CampaignView]


def shown(result: Result) -> Any:
    """The one document on stdout."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def words(result: Result) -> str:
    """What was said on stderr, without its frame."""
    return " ".join(result.stderr.replace("│", " ").split())


def search(folder: Path, **fields: Any) -> str:
    """A file that describes a search."""
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(campaign(**fields)))
    return str(file)


def test_the_example_can_be_submitted_with_the_name_of_a_dataset(
    real: Faultline, client: Client, platform: Platform, tmp_path: Path
) -> None:
    file = tmp_path / "search.yaml"
    file.write_text(real("campaigns", "example").stdout)
    assert file.read_text() == EXAMPLE
    made_by = client.submit("dataset.generate", GenerateSpec(name="bearings")).id
    change(platform, "UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = :run", run=made_by)
    begun = shown(real("campaigns", "create", str(file), "--set", "budget.trials=7", "--json"))
    assert begun["spec"]["base"]["dataset_id"] == str(client.dataset("bearings").id)
    assert (begun["budget"]["trials"], begun["budget"]["wall_s"], begun["sampler"]) == (7, 7200, "tpe")
    assert begun["spec"]["space"]["recipe.learning_rate"]["low"] == 1e-4


def test_a_campaign_is_created_steered_and_shown(real: Faultline, client: Client, tmp_path: Path) -> None:
    said = real("campaigns", "create", search(tmp_path, budget={"trials": 3, "wall_s": 60}), "--set", "max_parallel=1")
    assert "begins: 3 trials" in said.stdout
    assert shown(real("campaigns", "list", "--json"))[0]["max_parallel"] == 1
    assert real("campaigns", "pause", "search").exit_code == 0
    assert "paused" in real("campaigns", "show", "search").stdout
    assert real("campaigns", "resume", "search").exit_code == 0
    assert shown(real("campaigns", "extend", "search", "--trials", "+50", "--wall", "+2h", "--json"))["budget"] == {
        "trials": 53, "wall_s": 7260, "gpu_hours": None, "cost": None,
    }  # fmt: skip
    assert shown(real("campaigns", "extend", "search", "--trials", "9", "--json"))["budget"]["trials"] == 9
    assert real("campaigns", "set", "search", "--parallel", "8").exit_code == 0
    assert client.campaign("search").max_parallel == 8
    assert "Trial 0" in real("campaigns", "enqueue", "search", "x=0.5", "y=-1").stdout
    assert client.trials("search")[0].params == {"x": 0.5, "y": -1}
    assert "searching" in real("campaigns", "list").stdout
    assert "cancelled" in real("campaigns", "stop", "search", "--cancel-running", "--yes").stdout
    assert client.campaign("search").stopping == "cancel"


def test_a_fork_changes_what_is_named_and_keeps_the_rest(
    real: Faultline, client: Client, campaigns: Campaigns, begin: Begin
) -> None:
    campaigns.drive(begin(budget={"trials": 3}).id)
    forked = shown(real("campaigns", "fork", "search", "wider", "--set", "space.x.high=9", "--json"))
    assert (forked["spec"]["space"]["x"]["high"], forked["spec"]["space"]["x"]["low"]) == (9, -5)
    assert (forked["counts"]["carried"], forked["budget"]["trials"]) == (3, 3)
    assert len(client.campaigns()) == 2


def test_it_is_watched_to_its_end_a_line_for_each_trial_and_its_result_shown(
    real: Faultline, campaigns: Campaigns, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = begin(budget={"trials": 6})

    def goes_on(_seconds: float) -> None:
        campaigns.advance(view.id)
        campaigns.play(view.id)

    monkeypatch.setattr("services.cli.ui.campaign_watch.time.sleep", goes_on)
    watched = real("campaigns", "watch", "search")
    assert watched.exit_code == 0, watched.output
    assert [f"trial {number} of 6  complete" in watched.stdout for number in range(6)] == [True] * 6
    assert "best so far" in watched.stdout
    assert "6 complete" in watched.stdout
    lines = [json.loads(line) for line in real("campaigns", "watch", "search", "--json").stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(6))
    assert "6 complete" in real("runs", "show", str(view.id)).stdout


def test_a_campaign_that_fails_is_an_error_with_its_reason(real: Faultline, campaigns: Campaigns, begin: Begin) -> None:
    view = begin(budget={"trials": 6})
    real("campaigns", "stop", "search", "--cancel-running", "--yes")
    campaigns.advance(view.id)
    assert real("campaigns", "watch", "search").exit_code == 1


def test_trials_and_the_best_spec_are_written_to_files(
    real: Faultline, client: Client, campaigns: Campaigns, begin: Begin, tmp_path: Path
) -> None:
    trials = campaigns.drive(begin(budget={"trials": 4}, base={"cost": 3.0}).id)
    best = min(trials, key=lambda trial: trial["scores"][0])
    table, spec = tmp_path / "t.csv", tmp_path / "best.yaml"
    assert real("campaigns", "export", "search", "-o", str(table)).exit_code == 0
    assert [int(row["number"]) for row in csv.DictReader(table.read_text().splitlines())] == [0, 1, 2, 3]
    assert shown(real("campaigns", "export", "search", "--format", "yaml", "-o", str(spec), "--json"))["bytes"] > 0
    written = yaml.safe_load(spec.read_text())
    assert (written["kind"], written["spec"]["x"], written["spec"]["cost"]) == ("test.seek", best["params"]["x"], 3.0)
    assert f"# Trial {best['number']} of the campaign search, the best of 4." in spec.read_text()
    again = shown(real("runs", "submit", str(spec), "--set", "spec.y=2", "--json"))
    assert (again["spec"]["x"], again["spec"]["y"], again["pool"]) == (best["params"]["x"], 2, "test")
    assert json.loads(real("campaigns", "export", "search", "--format", "json").stdout) == written
    listed = shown(real("campaigns", "trials", "search", "--json"))
    assert [one["number"] for one in listed] == [0, 1, 2, 3]
    assert "★" in real("campaigns", "trials", "search").stdout
    assert client.trials("search", states=[TrialState.FAILED]) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["create", "nowhere.yaml"], "cannot be read"),
        (["extend", "search"], "Nothing is to be changed"),
        (["extend", "search", "--trials", "many"], "no amount"),
        (["extend", "search", "--wall", "+2h"], "no budget of wall_s"),
        (["enqueue", "search", "x"], "parameter 'x'"),
        (["enqueue", "search", "x=99"], "params.x"),
        (["fork", "search", "other", "--set", "colour=1"], "changes.colour"),
        (["fork", "search", "other", "--set", "max_parallel.x=1"], "no field in it"),
        (["export", "search", "--format", "json"], "no best trial"),
        (["show", "nope"], "no campaign 'nope'"),
    ],
)
def test_what_cannot_be_meant_is_refused(real: Faultline, begin: Begin, given: list[str], reason: str) -> None:
    begin()
    result = real("campaigns", *given)
    assert result.exit_code == 2
    assert reason in words(result)


def test_a_run_that_a_file_describes_wrongly_is_refused_with_its_place(real: Faultline, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    wrong = {"kind: no.such\nspec: {}": "no.such", "kind: test.seek\nspec: {x: 500}": "x: ", "a: 1": "kind"}
    for written, place in wrong.items():
        file.write_text(written)
        refused = real("runs", "submit", str(file))
        assert (refused.exit_code, place in words(refused)) == (2, True), refused.output


def test_a_run_that_a_file_describes_may_name_its_dataset(
    real: Faultline, client: Client, platform: Platform, tmp_path: Path
) -> None:
    made_by = client.submit("dataset.generate", GenerateSpec(name="bearings")).id
    change(platform, "UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = :run", run=made_by)
    file = tmp_path / "run.yaml"
    file.write_text("kind: model.train\nspec: {name: m, dataset_id: bearings, recipe: {type: rf}}\nlabels: {a: b}\n")
    run = shown(real("runs", "submit", str(file), "--json"))
    assert (run["spec"]["dataset_id"], run["labels"]) == (str(client.dataset("bearings").id), {"a": "b"})


def test_a_field_is_found_by_its_place_also_where_names_have_dots() -> None:
    document: dict[str, Any] = {"space": {"recipe.width": {"low": 1}, "recipe": {}}, "base": {}}
    put(document, "space.recipe.width.low", 4)
    put(document, "base.recipe.epochs", 2)
    put(document, "space.recipe", None)
    assert document == {"space": {"recipe.width": {"low": 4}}, "base": {"recipe": {"epochs": 2}}}


def test_of_two_who_extend_a_campaign_at_once_the_second_is_refused(client: Client, begin: Begin) -> None:
    begin()
    _seen, tag = client.campaign_and_tag("search")
    client.change_campaign("search", budget={"trials": 20})
    with pytest.raises(ApiConflict):
        client.change_campaign("search", budget={"trials": 30}, if_match=tag)


def test_parameters_are_called_by_what_tells_them_apart() -> None:
    assert labels(["recipe.width", "split.width", "recipe.dropout"]) == {
        "recipe.width": "recipe.width", "split.width": "split.width", "recipe.dropout": "dropout",
    }  # fmt: skip


@pytest.mark.parametrize("width", [80, 140])
def test_the_live_picture_fits_its_terminal_and_shows_the_best_and_what_runs(
    client: Client, campaigns: Campaigns, begin: Begin, width: int
) -> None:
    view = begin(budget={"trials": 60, "wall_s": 3600}, sampler={"type": "random"}, max_parallel=4)
    for _ in range(10):
        campaigns.advance(view.id)
        campaigns.play(view.id)
    campaigns.advance(view.id)
    trials = client.trials("search", limit=100)
    running = {trial.run_id: 0.5 for trial in trials if trial.state == TrialState.RUNNING and trial.run_id}
    known = {trial.number: trial for trial in trials}
    at = datetime.now(UTC) + timedelta(minutes=20)
    scene = Scene(client.campaign("search"), known, running, at)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(frame(scene, width, 24))
    text = console.export_text()
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    assert scene.best <= {trial.number for trial in chosen(scene, 8)}
    assert text.count("running") >= len(running)
    assert f"of {60} trials" in text
    assert "20:0" in text
    assert "★" in text

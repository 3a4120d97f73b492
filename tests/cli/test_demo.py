"""The demo: what it plans, how it goes, what it writes down, what it makes of the numbers."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import Result

from services.cli.credentials import state_dir
from services.cli.demo import stages
from services.cli.demo.plan import jobs, recorded_plan, suffix
from services.cli.demo.reading import reading
from services.cli.demo.stack import Ground
from services.cli.presets import PRESETS
from tests.cli import results
from tests.cli.fake_api import FakeApi

LABELS = {"size_mils": ["007", "014", "021"], "load_hp": ["0", "1"]}
DATASET = UUID(int=7)
PERFECT = [[6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0], [0, 0, 0, 6]]


@pytest.fixture(autouse=True)
def ground(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack is there already."""

    @contextmanager
    def there(*_: object, **__: object) -> Iterator[Ground]:
        yield Ground("running at http://here", started_here=False)

    monkeypatch.setattr(stages, "stack_for", there)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Records named as the preset knows them, and one that is not."""
    path = tmp_path / "cwru"
    path.mkdir()
    for name in ("105_ir007_0hp.mat", "131_or007at6_1hp.mat", "97_normal_0hp.mat", "other.mat"):
        (path / name).write_bytes(b"x")
    return path


# -- the plan


def test_every_size_is_left_out_once_and_the_load_split_trains_on_the_lowest():
    size, load = recorded_plan(LABELS).experiments
    assert [fold.split.held_out for fold in size.folds] == [["007"], ["014"], ["021"]]
    assert [fold.split.held_out for fold in load.folds] == [["1"]]
    assert (size.role, load.role) == ("headline", "control")


def test_records_of_one_size_and_load_are_split_by_unit_and_by_record():
    plan = recorded_plan({"size_mils": ["007"], "load_hp": ["0"]})
    assert [experiment.folds[0].split.by for experiment in plan.experiments] == ["unit", "record"]


def test_both_models_are_trained_on_every_fold_under_names_of_their_own():
    todo = jobs(recorded_plan(LABELS), DATASET, "abc")
    assert len(todo) == 8
    assert len({job.spec.name for job in todo}) == 8
    assert todo[0].spec.name == "demo-abc-rf-size-007"
    assert {job.model_type for job in todo} == {"rf", "cnn1d"}


def test_odd_labels_still_make_valid_names():
    plan = recorded_plan({"size_mils": ["0,07 in", "ÄÖ" * 60], "load_hp": []})
    assert len({job.spec.name for job in jobs(plan, DATASET, "abc")}) == 6


def test_two_demos_do_not_meet():
    assert suffix(1_700_000_000) != suffix(1_700_000_001)
    assert suffix(1_700_000_000) == "s44we8"


def test_the_preset_reads_the_names_of_the_collection():
    rule = re.compile(PRESETS["cwru"].rule)
    found = {name: match.groupdict() for name in NAMES if (match := rule.search(name))}
    assert found == NAMES


NAMES = {
    "105_ir007_0hp.mat": {"record": "105", "fault": "ir", "size_mils": "007", "position": None, "load_hp": "0"},
    "198_or014at6_1hp.mat": {"record": "198", "fault": "or", "size_mils": "014", "position": "at6", "load_hp": "1"},
    "97_normal_0hp.mat": {"record": "97", "fault": "normal", "size_mils": None, "position": None, "load_hp": "0"},
    "222_b021_0hp.mat": {"record": "222", "fault": "b", "size_mils": "021", "position": None, "load_hp": "0"},
}


# -- the demo itself


def test_the_demo_on_records_ends_with_scores_and_how_to_read_them(
    faultline: Callable[..., Result], api: FakeApi, folder: Path
):
    result = faultline("demo", "--data", str(folder))
    assert result.exit_code == 0, result.output
    assert "other.mat" in result.stdout
    for words in ("✓ stack", "✓ data", "✓ training", "✓ evaluation", "By fault size: unseen bearings", "By load",
                  "records right", "majority guess", "leaks ", "some shared units", "How to read this"):  # fmt: skip
        assert words in result.stdout
    assert len(api.uploads) == 3
    assert {run.labels["demo"] for run in api.runs.values()} == {api.datasets[0].name.removeprefix("demo-")}


def test_the_demo_without_records_generates_them(faultline: Callable[..., Result], api: FakeApi):
    result = faultline("demo")
    assert result.exit_code == 0, result.output
    assert [run.kind for run in api.runs.values()].count("model.train") == 4
    assert "By machine: unseen machines" in result.stdout
    assert "By record: same machines" in result.stdout


def test_the_demo_writes_down_all_that_it_did(faultline: Callable[..., Result], api: FakeApi, folder: Path):
    faultline("demo", "--data", str(folder))
    written = json.loads((state_dir() / "demo.json").read_text())
    assert set(written["stage_seconds"]) == {"stack", "data", "training", "evaluation"}
    assert written["dataset"]["result"]["digest"] == "ab" * 32
    assert {run["id"] for run in written["runs"]} == {str(run_id) for run_id in api.runs}
    assert [entry["experiment"] for entry in written["evaluations"]] == ["size", "load", "size", "load"]
    assert written["evaluations"][0]["result"]["record"]["confusion"] == results.CONFUSION
    assert written["seed"] == 7
    assert written["versions"]["faultline"]
    assert written["reading"]


def test_the_demo_as_json_is_its_record_and_nothing_else(faultline: Callable[..., Result], folder: Path):
    result = faultline("demo", "--data", str(folder), "--json")
    [line] = result.stdout.splitlines()
    assert len(json.loads(line)["evaluations"]) == 4
    assert result.stderr == ""


def test_a_run_that_fails_ends_the_demo_with_its_error(faultline: Callable[..., Result], api: FakeApi):
    api.failing = {"model.train"}
    result = faultline("demo")
    assert result.exit_code == 1
    assert "One fault only." in result.stderr
    assert "Use more." in result.stderr
    assert "How to read this" not in result.stdout
    assert "model.evaluate" not in {run.kind for run in api.runs.values()}


def test_a_folder_with_other_names_is_refused_with_the_way_to_bring_them(
    faultline: Callable[..., Result], api: FakeApi, tmp_path: Path
):
    (tmp_path / "bearing one.mat").touch()
    result = faultline("demo", "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "faultline datasets import" in " ".join(result.stderr.split())
    assert api.requests == []


# -- the reading


def words(headline: dict[str, object], control: dict[str, object] | None = None) -> str:
    return reading(headline, control or {}, "bearings")  # type: ignore[arg-type]


def test_a_wide_interval_is_called_wide():
    text = words({"rf": results.evaluation("rf")})
    assert "rf names the right fault for 19 of 24 records" in text
    assert "With 10 bearings the interval is wide, 61 to 94 %" in text


def test_the_weakest_fault_is_named_with_what_it_is_taken_for():
    assert "ball fails most: 2 of 6 records of 3 bearings, mostly called outer_race." in words(
        {"rf": results.evaluation()}
    )


def test_no_fault_is_blamed_where_none_was_missed():
    text = words({"rf": results.evaluation("rf", PERFECT, (1.0, 1.0))})
    assert "No fault was missed" in text
    assert "fails most" not in text


def test_models_whose_intervals_meet_are_not_ranked():
    text = words({"rf": results.evaluation("rf"), "cnn1d": results.evaluation("cnn1d", PERFECT, (0.9, 1.0))})
    assert "rf (79.2 %) can't be told apart from it" in text


def test_models_whose_intervals_part_are_ranked():
    low = results.evaluation("rf", bounds=(0.5, 0.8))
    text = words({"rf": low, "cnn1d": results.evaluation("cnn1d", PERFECT, (0.9, 1.0))})
    assert "ahead of rf (79.2 %) by more than the intervals" in text


def test_a_score_near_the_majority_guess_is_not_called_better():
    assert "not clearly better" in words({"rf": results.evaluation(bounds=(0.2, 0.9))})


def test_what_the_same_bearings_surely_add_is_called_knowledge_of_them():
    low = results.evaluation(bounds=(0.6, 0.94))
    text = words({"rf": low}, {"rf": results.evaluation("rf", PERFECT, (0.95, 1.0))})
    assert "the 21 points more are knowledge of these bearings, not of the faults" in text


def test_a_gain_within_the_intervals_is_not_explained_away():
    text = words({"rf": results.evaluation()}, {"rf": results.evaluation("rf", PERFECT, (0.8, 1.0))})
    assert "no second proof" in text
    assert "the 21 points more may be chance" in text


def test_a_control_that_is_no_easier_is_not_called_a_leak():
    assert "here it is not the easier question" in words({"rf": results.evaluation()}, {"rf": results.evaluation()})


def test_a_fault_of_one_bearing_on_both_sides_is_no_evidence():
    assert "healthy exists on one bearing only" in words({"rf": results.evaluation()})
    assert "one bearing only" not in words({"rf": results.evaluation(shared=[])})

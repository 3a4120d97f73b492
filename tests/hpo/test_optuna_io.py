"""Campaigns to Optuna and back."""

from pathlib import Path
from typing import Any
from uuid import UUID

import optuna
import pytest

from services.hpo.optuna_io import export_campaign, import_study, main
from shared.db.models import Campaign
from shared.db.session import transaction
from shared.errors import Conflict, NotFound, UserError
from tests.hpo.recorded import record
from tests.hpo.support import Campaigns
from tests.support.platform import settings_from

SPACE = {
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "extra": {"type": "float", "low": 0.1, "high": 10, "log": True, "when": {"kind": ["b"]}},
    "z": {"type": "categorical", "choices": [[1.0], [0.5, 0.5]]},
}
BOTH = [{"result": "value", "goal": "minimize"}, {"result": "other", "goal": "maximize"}]
TRIALS: list[dict[str, Any]] = [
    {"params": {"kind": "a", "z": [1.0]}, "scores": [1.0], "violations": [-1.0], "reports": {"1": 3.0, "3": 1.0}},
    {"params": {"kind": "b", "extra": 2.0, "z": [0.5, 0.5]}, "scores": [2.0], "violations": [0.5]},
    {"params": {"kind": "a", "z": [1.0]}, "scores": [3.0], "state": "pruned", "reports": {"1": 3.0}},
    {"params": {"kind": "a", "z": [1.0]}, "state": "failed"},
    {"params": {"kind": "b"}, "state": "enqueued"},
]
COMPLETE = [trial for trial in TRIALS if "state" not in trial]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def exported(campaigns: Campaigns, campaign_id: UUID, url: str, study: str = "s", *, replace: bool = False) -> int:
    with transaction(campaigns.platform.engine) as session:
        return export_campaign(session, session.get_one(Campaign, campaign_id), url, study, replace=replace)


def imported(campaigns: Campaigns, campaign_id: UUID, url: str, study: str = "s") -> tuple[int, int]:
    with transaction(campaigns.platform.engine) as session:
        return import_study(session, session.get_one(Campaign, campaign_id), url, study)


def recorded(campaigns: Campaigns, name: str) -> UUID:
    return campaigns.submit(name=name, space=SPACE, constraints=[{"result": "cost", "max": 1.0}])


def test_a_campaign_goes_to_optuna_and_what_is_complete_comes_back(campaigns: Campaigns, url: str) -> None:
    first = recorded(campaigns, "first")
    record(campaigns, first, TRIALS, [(0, [1.0])])
    assert exported(campaigns, first, url) == 5
    study = optuna.load_study(study_name="s", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "WAITING"]
    assert study.trials[0].intermediate_values == {1: 3.0, 3: 1.0}
    assert study.trials[1].params == {"kind": "b", "extra": 2.0, "z": "[0.5,0.5]"}
    assert study.best_trial.number == 0
    second = recorded(campaigns, "second")
    campaigns.advance(second)
    before = campaigns.row(second)
    assert imported(campaigns, second, url) == (2, 0)
    carried = [trial for trial in campaigns.trials(second) if trial["origin"] == "carried"]
    assert [trial["params"] for trial in carried] == [trial["params"] for trial in COMPLETE]
    assert [trial["scores"] for trial in carried] == [trial["scores"] for trial in COMPLETE]
    assert [trial["violations"] for trial in carried] == [trial["violations"] for trial in COMPLETE]
    after = campaigns.row(second)
    grown = {name: after[name] - before[name] for name in ("asked", "carried", "revision")}
    assert grown == {"asked": 2, "carried": 2, "revision": 1}


def test_a_campaign_that_was_told_more_goes_on_to_its_end(campaigns: Campaigns, url: str) -> None:
    study = optuna.create_study(study_name="s", storage=url)
    study.optimize(lambda trial: trial.suggest_float("x", -5, 5) ** 2 + trial.suggest_float("y", -5, 5), n_trials=8)
    study.enqueue_trial({"x": 9.0})
    campaign_id = campaigns.submit(budget={"trials": 6})
    campaigns.advance(campaign_id)
    assert imported(campaigns, campaign_id, url) == (8, 0)
    trials = campaigns.drive(campaign_id)
    assert len([trial for trial in trials if trial["origin"] != "carried"]) == 6
    result = campaigns.platform.run(campaign_id)["envelope"]["result"]
    assert result["best"]["run_id"] is not None
    assert result["trials"]["carried"] == 8


def test_two_objectives_go_and_come_back(campaigns: Campaigns, url: str) -> None:
    first = campaigns.submit(name="first", objectives=BOTH, sampler={"type": "random"}, budget={"trials": 5})
    campaigns.drive(first)
    exported(campaigns, first, url)
    study = optuna.load_study(study_name="s", storage=url)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [trial.user_attrs["run_id"] for trial in study.trials] == [
        str(trial["run_id"]) for trial in campaigns.trials(first)
    ]
    second = campaigns.submit(name="second", objectives=BOTH)
    assert imported(campaigns, second, url) == (5, 0)
    told = [trial["scores"] for trial in campaigns.trials(second)]
    assert told == [trial["scores"] for trial in campaigns.trials(first)]


def test_what_does_not_fit_is_left_behind(campaigns: Campaigns, url: str) -> None:
    study = optuna.create_study(study_name="s", storage=url)
    study.optimize(lambda trial: trial.suggest_float("x", 4, 6) + trial.suggest_float("y", 0, 1), n_trials=6)
    fit = sum(trial.params["x"] <= 5 for trial in study.trials)
    assert imported(campaigns, campaigns.submit(), url) == (fit, 6 - fit)


def test_a_study_that_is_there_is_replaced_only_if_that_is_asked_for(campaigns: Campaigns, url: str) -> None:
    campaign_id = recorded(campaigns, "first")
    record(campaigns, campaign_id, TRIALS, [(0, [1.0])])
    exported(campaigns, campaign_id, url)
    with pytest.raises(Conflict, match="There is a study"):
        exported(campaigns, campaign_id, url)
    assert exported(campaigns, campaign_id, url, replace=True) == 5
    assert len(optuna.load_study(study_name="s", storage=url).trials) == 5


def test_other_objectives_no_study_and_an_ended_campaign_are_refused(campaigns: Campaigns, url: str) -> None:
    campaign_id = campaigns.submit(budget={"trials": 1})
    with pytest.raises(NotFound, match="no study 's'"):
        imported(campaigns, campaign_id, url)
    optuna.create_study(study_name="s", storage=url, direction="maximize")
    with pytest.raises(UserError, match="not what the campaign seeks"):
        imported(campaigns, campaign_id, url)
    with pytest.raises(UserError, match="cannot be opened"):
        imported(campaigns, campaign_id, "nonsense")
    campaigns.drive(campaign_id)
    optuna.create_study(study_name="ours", storage=url)
    with pytest.raises(Conflict, match="has ended"):
        imported(campaigns, campaign_id, url, "ours")


def test_the_command_says_what_it_did(campaigns: Campaigns, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    record(campaigns, recorded(campaigns, "first"), TRIALS, [(0, [1.0])])
    where = ["--campaign", "first", "--project", "default", "--storage", url]
    with settings_from({**campaigns.platform.environment}):
        assert main(["export", *where]) == 0
        assert "5 trials of first written to study first." in capsys.readouterr().out
        assert main(["export", *where]) == 1
        assert "--replace" in capsys.readouterr().err


def test_an_import_that_is_repeated_adds_nothing(campaigns: Campaigns, url: str) -> None:
    done = campaigns.submit(name="done", budget={"trials": 4})
    campaigns.drive(done)
    exported(campaigns, done, url)
    other = campaigns.submit(name="other", budget={"trials": 4})
    assert imported(campaigns, other, url) == (4, 0)
    assert imported(campaigns, other, url) == (0, 0)
    assert campaigns.row(other)["carried"] == 4


def test_a_trial_that_is_being_pruned_is_pruned_there(campaigns: Campaigns, url: str) -> None:
    pruner = {"type": "threshold", "upper": -1.0}
    campaign_id = campaigns.submit(budget={"trials": 1}, max_parallel=1, pruner=pruner)
    campaigns.advance(campaign_id)
    (trial,) = campaigns.trials(campaign_id)
    campaigns.report(trial["run_id"], 1, 2.0)
    campaigns.advance(campaign_id)
    assert campaigns.trials(campaign_id)[0]["state"] == "pruning"
    exported(campaigns, campaign_id, url)
    (there,) = optuna.load_study(study_name="s", storage=url).trials
    assert (there.state, there.value) == (optuna.trial.TrialState.PRUNED, 2.0)

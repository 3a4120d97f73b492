"""A campaign over real trainings: validation selects, the winner is a model like any other, scored once."""

from typing import Any
from uuid import UUID

import pytest

from shared.campaigns.submit import submit_campaign
from shared.contracts.campaigns import CampaignRequest
from shared.contracts.specs import GenerateSpec
from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.conftest import MakePlatform
from tests.hpo.support import Campaigns


@pytest.fixture
def campaigns(make_platform: MakePlatform) -> Campaigns:
    campaigns = Campaigns(make_platform(FAULTLINE_LEASE_S="20", FAULTLINE_HEARTBEAT_S="1"))
    platform = campaigns.platform
    platform.start_core()
    platform.start_worker("generation", "services.generation.worker", FAULTLINE_WORKER_POOLS='["generation"]')
    pools = '["training-cpu", "analysis"]'
    platform.start_worker(
        "training", "services.training.worker", FAULTLINE_WORKER_POOLS=pools, FAULTLINE_WORKER_SLOTS="2"
    )
    campaigns.start_coordinator("hpo-0")
    return campaigns


def dataset(campaigns: Campaigns) -> UUID:
    """A ready dataset of three faults."""
    platform = campaigns.platform
    spec = GenerateSpec(
        name="data", faults=["healthy", "outer_race", "inner_race"], units_per_fault=4, records_per_unit=2,
        duration_s=1.0, snr_db=(10.0, 20.0), severity=(0.8, 1.0),
    )  # fmt: skip
    with transaction(platform.engine) as session:
        run_id = submit(session, platform.settings, platform.caller, Request("dataset.generate", spec))
    assert platform.finished(run_id)["state"] == "succeeded"
    return UUID(str(platform.rows("SELECT id FROM datasets WHERE name = 'data'")[0]["id"]))


def begin(campaigns: Campaigns, **fields: Any) -> UUID:
    platform = campaigns.platform
    request = CampaignRequest.model_validate({"spec": fields})
    with transaction(platform.engine) as session:
        return submit_campaign(session, platform.settings, platform.caller, request)


def test_the_winner_of_a_search_over_two_families_is_a_model_scored_once_on_the_test_side(
    campaigns: Campaigns,
) -> None:
    platform = campaigns.platform
    campaign_id = begin(
        campaigns,
        name="best-of-both",
        base={"dataset_id": str(dataset(campaigns)), "window_s": 0.4},
        space={
            "recipe.type": {"type": "categorical", "choices": ["rf", "cnn1d"]},
            "recipe.trees": {"type": "int", "low": 10, "high": 40, "when": {"recipe.type": ["rf"]}},
            "recipe.width": {"type": "int", "low": 4, "high": 8, "when": {"recipe.type": ["cnn1d"]}},
            "recipe.epochs": {"type": "int", "low": 1, "high": 2, "when": {"recipe.type": ["cnn1d"]}},
        },
        constraints=[{"result": "parameters", "max": 1_000_000}],
        budget={"trials": 5},
        max_parallel=2,
        sampler={"type": "random"},
    )
    run = campaigns.ended(campaign_id, 200)
    assert run["state"] == "succeeded", run["envelope"]
    result = run["envelope"]["result"]
    trials = campaigns.trials(campaign_id)
    assert [trial["state"] for trial in trials] == ["complete"] * 5
    assert result["best"]["values"] == [max(trial["scores"][0] for trial in trials)]
    (model,) = platform.rows("SELECT * FROM models")
    assert (model["name"], str(model["run_id"])) == ("best-of-both", result["best"]["run_id"])
    assert str(model["id"]) == result["model_id"]
    (score,) = platform.rows("SELECT * FROM runs WHERE kind = 'model.evaluate'")
    assert str(score["id"]) == result["test"]["run_id"]
    assert result["test"]["accuracy"] == score["envelope"]["result"]["record"]["accuracy"]
    assert result["spec"]["recipe"]["type"] == result["best"]["params"]["recipe.type"]


def test_a_training_that_lags_behind_is_pruned_at_a_rung(campaigns: Campaigns) -> None:
    campaign_id = begin(
        campaigns,
        name="halved",
        base={"dataset_id": str(dataset(campaigns)), "recipe": {"type": "cnn1d", "epochs": 8, "width": 4}},
        space={"recipe.learning_rate": {"type": "categorical", "choices": [1e-7, 3e-3]}},
        pruner={"type": "asha", "min_steps": 2, "reduction": 2},
        budget={"trials": 6},
        max_parallel=2,
        sampler={"type": "random"},
        score_winner=False,
    )
    assert campaigns.ended(campaign_id, 200)["state"] == "succeeded"
    trials = campaigns.trials(campaign_id)
    assert {trial["state"] for trial in trials} == {"complete", "pruned"}
    assert all(set(trial["reports"]) <= {"2", "4", "8"} for trial in trials)
    assert campaigns.platform.rows("SELECT 1 FROM models") == []


def test_the_shape_of_a_network_and_the_recipe_of_its_data_are_searched_together(campaigns: Campaigns) -> None:
    platform = campaigns.platform
    block = {
        "type": {"type": "categorical", "choices": ["plain", "residual", "separable"]},
        "width": {"type": "int", "low": 4, "high": 8, "step": 4},
        "kernel": {"type": "categorical", "choices": [3, 5]},
        "attention": {"type": "categorical", "choices": ["none", "squeeze"]},
    }
    campaign_id = begin(
        campaigns,
        name="shapes",
        base={
            "dataset_id": str(dataset(campaigns)),
            "window_s": 0.4,
            "recipe": {"type": "convnet", "epochs": 1},
            "synthetic": {"mode": "add", "units_per_fault": 1, "records_per_unit": 1, "duration_s": 1.0},
        },
        space={
            "recipe.blocks": {"type": "list", "length": [1, 3], "item": block},
            "synthetic.snr_db": {"type": "categorical", "choices": [[0.0, 6.0], [10.0, 20.0]]},
        },
        objectives=[
            {"result": "validation_accuracy", "goal": "maximize"},
            {"result": "cost.flops", "goal": "minimize"},
        ],
        constraints=[{"result": "cost.latency_ms", "max": 1000}],
        budget={"trials": 4},
        max_parallel=2,
    )
    run = campaigns.ended(campaign_id, 200)
    assert run["state"] == "succeeded", run["envelope"]
    result = run["envelope"]["result"]
    depths = {trial["number"]: trial["params"]["recipe.blocks.length"] for trial in campaigns.trials(campaign_id)}
    (winner,) = platform.rows("SELECT spec, envelope FROM runs WHERE id = :id", id=result["best"]["run_id"])
    assert len(winner["spec"]["recipe"]["blocks"]) == depths[result["best"]["number"]]
    assert winner["envelope"]["result"]["synthetic_windows"] > 0
    assert result["test"]["records"] > 0
    assert platform.rows("SELECT 1 FROM models WHERE name = 'shapes'")

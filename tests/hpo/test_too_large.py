"""A space with points that are too large: those fail, the others are tried; only where nothing fits it is refused."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.campaigns import control
from shared.campaigns.checks import examples
from shared.campaigns.submit import submit_campaign
from shared.campaigns.trials import PointTooLarge
from shared.contracts.campaigns import CampaignRequest, CampaignSpec
from shared.contracts.specs import GenerateSpec
from shared.db.models import Campaign
from shared.db.session import transaction
from shared.runs.submit import Request, submit
from tests.hpo.support import Campaigns

WIDE = {"type": "int", "low": 4, "high": 1024}
#: 255 * (4 + 1024) * 1024 weights at its upper end
BLOCKS = {"type": "list", "length": [1, 2], "item": {"width": WIDE, "kernel": {"type": "int", "low": 1, "high": 255}}}
LARGE = {"width": 1024, "kernel": 255}


def search(**fields: Any) -> CampaignSpec:
    given = {
        "name": "shapes",
        "base": {"dataset_id": str(uuid4()), "recipe": {"type": "convnet", "epochs": 1}},
        "space": {"recipe.blocks": BLOCKS},
        "budget": {"trials": 2},
        "max_parallel": 1,
        "score_winner": False,
    }
    return CampaignSpec.model_validate(given | fields)


def test_a_corner_that_is_too_large_is_left_out_of_what_is_looked_at() -> None:
    found = examples(search())
    assert found
    assert all(len(spec.model_dump()["recipe"]["blocks"]) in {1, 2} for spec in found)


@pytest.mark.parametrize(
    "fields",
    [
        {"space": {"recipe.blocks.1.kernel": {"type": "int", "low": 200, "high": 255}}},
        {"space": {"recipe.dropout": {"type": "float", "low": 0, "high": 0.5}}},
    ],
)
def test_a_space_without_a_point_that_fits_is_refused(fields: dict[str, Any]) -> None:
    recipe = {"type": "convnet", "blocks": [LARGE, LARGE]}
    with pytest.raises(PointTooLarge, match=r"too large: blocks: [0-9,]+ weights, more than 20,000,000") as caught:
        examples(search(base={"dataset_id": str(uuid4()), "recipe": recipe}, **fields))
    assert caught.value.remedy


def test_a_point_that_is_too_large_is_a_failed_trial_and_the_next_one_runs(campaigns: Campaigns) -> None:
    platform = campaigns.platform
    with transaction(platform.engine) as session:
        made_by = submit(
            session, platform.settings, platform.caller, Request("dataset.generate", GenerateSpec(name="d"))
        )
        session.execute(
            text("UPDATE runs SET state = 'succeeded', finished_at = now() WHERE id = :id"), {"id": made_by}
        )
    dataset = platform.rows("SELECT id FROM datasets WHERE name = 'd'")[0]["id"]
    spec = search(base={"dataset_id": str(dataset), "recipe": {"type": "convnet", "epochs": 1}}, max_parallel=2)
    with transaction(platform.engine) as session:
        request = CampaignRequest(spec=spec)
        campaign_id = submit_campaign(session, platform.settings, platform.caller, request)
        point = {"recipe.blocks.length": 2} | {f"recipe.blocks.{i}.{k}": v for i in (0, 1) for k, v in LARGE.items()}
        control.enqueue(session, session.get_one(Campaign, campaign_id), point)
        small = {"recipe.blocks.length": 1, "recipe.blocks.0.width": 4, "recipe.blocks.0.kernel": 3}
        control.enqueue(session, session.get_one(Campaign, campaign_id), small)
    campaigns.advance(campaign_id)
    large, fits = campaigns.trials(campaign_id)
    assert (large["state"], large["run_id"], fits["state"]) == ("failed", None, "running")
    assert "too large: blocks: " in large["error"]
    assert "lower width or kernel" in large["error"]

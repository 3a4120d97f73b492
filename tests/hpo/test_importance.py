"""Which parameters matter."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.hpo.drawing_wide import draw_importance
from services.hpo.importance import _mark, find_importance, importance_of
from shared.contracts.campaigns import CampaignSpec
from shared.queue.runtime import make_runtime
from tests.hpo.recorded import record
from tests.hpo.support import Campaigns
from tests.support.seeking import campaign

SPACE: dict[str, dict[str, Any]] = {
    "x": {"type": "float", "low": -5, "high": 5},
    "y": {"type": "float", "low": -5, "high": 5},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "extra": {"type": "float", "low": 0, "high": 1, "when": {"kind": ["b"]}},
}


def tried(count: int = 60) -> list[Any]:
    """x explains nine tenths and more of the value, y a little, kind nothing."""
    points = [((n * 37 % 101) / 10.1 - 5, (n * 53 % 97) / 9.7 - 5, "ab"[n % 2]) for n in range(count)]
    return [
        SimpleNamespace(params={"x": x, "y": y, "kind": kind, **({"extra": 0.5} if kind == "b" else {})}, scores=[v])
        for x, y, kind in points
        for v in [10 * x + y]
    ]


def test_shares_add_up_to_one_and_say_what_was_left_out() -> None:
    spec = CampaignSpec.model_validate(campaign(space=SPACE))
    found = importance_of(spec, tried())
    (only,) = found.objectives
    assert only.shares[0].name == "x"
    assert only.shares[0].share > 0.9
    assert sum(share.share for share in only.shares) == pytest.approx(1.0)
    assert (found.trials, found.left_out) == (60, [])
    assert [(share.name, share.trials, share.share < 0.01) for share in only.conditional] == [("extra", 30, True)]
    assert importance_of(spec, tried()) == found


def test_a_parameter_with_a_condition_has_its_share_among_the_trials_that_have_it() -> None:
    spec = CampaignSpec.model_validate(campaign(space=SPACE))
    rows = tried()
    for number, row in enumerate(rows):
        if "extra" in row.params:
            row.params["extra"] = number * 29 % 61 / 61
            row.scores[0] += 300 * row.params["extra"]
    (only,) = importance_of(spec, rows).objectives
    (extra,) = only.conditional
    assert (extra.name, extra.trials, extra.share > 0.8) == ("extra", 30, True)
    assert "extra" not in {share.name for share in only.shares}
    assert importance_of(spec, rows[:18]).left_out == ["extra"]  # nine trials have it


def test_where_every_parameter_has_a_condition_each_is_seen_among_its_own_trials() -> None:
    apart = {"x": {**SPACE["x"], "when": {"kind": ["a"]}}, "y": {**SPACE["y"], "when": {"kind": ["b"]}}}
    spec = CampaignSpec.model_validate(campaign(space=apart | {"kind": SPACE["kind"]}))
    rows = tried()
    for row in rows:
        del row.params["y" if row.params["kind"] == "a" else "x"]
        del row.params["kind"]  # as of a campaign that came from elsewhere
    found = importance_of(spec, rows)
    assert found.note == "No parameter is searched in every trial."
    assert {share.name: share.trials for share in found.objectives[0].conditional} == {"x": 30, "y": 30}
    assert draw_importance(found).axes


def test_too_few_trials_and_equal_values_are_said_to_tell_nothing() -> None:
    spec = CampaignSpec.model_validate(campaign(space=SPACE))
    assert importance_of(spec, tried(9)).note == "It needs 10 complete trials."
    same = [SimpleNamespace(params=row.params, scores=[1.0]) for row in tried()]
    assert importance_of(spec, same).note == "All trials have the same value."


def test_it_is_due_at_ten_trials_and_each_time_a_fifth_more_have_ended() -> None:
    due = [ended for ended in range(1, 40) if _mark(ended - 1) < _mark(ended)]
    assert due == [10, 12, 15, 18, 21, 25, 30, 36]


def test_it_is_found_for_a_campaign_and_asked_for_as_it_grows_and_at_its_end(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 13}, max_parallel=1)
    campaigns.drive(campaign_id)
    asked = campaigns.platform.rows(
        "SELECT args, not_before > created_at AS waits FROM outbox WHERE step = 'campaign.importance' ORDER BY id"
    )
    assert [step["waits"] for step in asked] == [True, False]  # at ten; at twelve it waits already; at the end
    runtime = make_runtime(campaigns.platform.settings, "test", lifeline=None)
    try:
        find_importance(asked[-1]["args"], runtime)
        first = campaigns.row(campaign_id)["importance"]
        find_importance(asked[-1]["args"], runtime)
    finally:
        runtime.close()
    assert campaigns.row(campaign_id)["importance"] == first
    assert (first["trials"], first["ended"]) == (13, 13)
    assert {share["name"] for share in first["objectives"][0]["shares"]} == {"x", "y"}


def test_of_two_objectives_each_has_its_own(campaigns: Campaigns) -> None:
    both = [{"result": "value", "goal": "minimize"}, {"result": "other", "goal": "minimize"}]
    campaign_id = campaigns.submit(objectives=both)
    trials = [
        {"params": {"x": row.params["x"], "y": row.params["y"]}, "scores": [row.params["x"], row.params["y"]]}
        for row in tried()
    ]
    record(campaigns, campaign_id, trials, [])
    runtime = make_runtime(campaigns.platform.settings, "test", lifeline=None)
    try:
        find_importance({"run_id": str(campaign_id)}, runtime)
    finally:
        runtime.close()
    found = campaigns.row(campaign_id)["importance"]["objectives"]
    assert [each["shares"][0]["name"] for each in found] == ["x", "y"]

"""Campaigns from submit to end, by real processes."""

from tests.hpo.support import Campaigns


def test_a_campaign_asks_for_exactly_its_trials_and_returns_the_best(campaigns: Campaigns) -> None:
    campaigns.start()
    campaign_id = campaigns.submit(budget={"trials": 12})
    run = campaigns.ended(campaign_id)
    assert run["state"] == "succeeded", run["envelope"]
    trials = campaigns.trials(campaign_id)
    assert [trial["state"] for trial in trials] == ["complete"] * 12
    best = min(trials, key=lambda trial: trial["scores"][0])
    result = run["envelope"]["result"]
    assert result["best"]["number"] == best["number"]
    assert result["best"]["params"] == best["params"]
    assert result["spec"]["x"] == best["params"]["x"]
    assert result["trials"]["complete"] == 12

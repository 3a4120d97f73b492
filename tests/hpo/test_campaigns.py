"""Campaigns from submit to end, by real processes."""

import json
import signal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.hpo import asking
from shared.campaigns import control
from shared.contracts.campaigns import Budget, CampaignChange, ForkRequest, StopRequest
from shared.contracts.causes import Cause
from shared.contracts.states import RunState
from shared.db.models import Campaign, Run
from shared.db.session import transaction
from shared.runs import sync
from shared.runs.cancel import request_cancel
from shared.runs.errors import failure, named_cause
from shared.runs.pause import request_pause, resume
from tests.conftest import MakePlatform
from tests.hpo.support import Campaigns
from tests.support.platform import until


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


def states(campaigns: Campaigns, campaign_id: UUID) -> list[str]:
    return [trial["state"] for trial in campaigns.trials(campaign_id)]


def all_running(campaigns: Campaigns, campaign_id: UUID, count: int) -> list[dict[str, Any]]:
    """The runs of a campaign, once so many run."""

    def running() -> list[dict[str, Any]] | None:
        rows = campaigns.platform.rows(
            "SELECT * FROM runs WHERE parent_id = :id AND state = 'running' ORDER BY id", id=campaign_id
        )
        return rows if len(rows) == count else None

    found: list[dict[str, Any]] = until(running, 30, f"{count} trials do not run")
    return found


def test_nothing_holds_a_slot_while_a_campaign_waits(campaigns: Campaigns) -> None:
    campaigns.start(slots=1)
    campaign_id = campaigns.submit(base={"sleep_s": 0.3}, budget={"trials": 3}, max_parallel=3)
    campaigns.ended(campaign_id)
    parent = campaigns.platform.run(campaign_id)
    assert (parent["worker"], parent["started_at"], parent["lease_expires_at"]) == (None, None, None)


def test_a_value_that_is_not_a_number_is_a_failed_trial_and_the_campaign_goes_on(campaigns: Campaigns) -> None:
    campaigns.start()
    campaign_id = campaigns.submit(base={"function": "nan"}, sampler={"type": "random"}, budget={"trials": 10})
    assert campaigns.ended(campaign_id)["state"] == "succeeded"
    for trial in campaigns.trials(campaign_id):
        assert trial["state"] == ("failed" if trial["params"]["x"] > 0 else "complete")
        assert (trial["error"] is not None) == (trial["state"] == "failed")
    assert {"failed", "complete"} == set(states(campaigns, campaign_id))


def test_a_campaign_of_which_nothing_succeeds_stops_early_and_says_why(campaigns: Campaigns) -> None:
    campaigns.start()
    space = {"x": {"type": "float", "low": 1, "high": 5}}
    campaign_id = campaigns.submit(
        base={"function": "fail"}, space=space, budget={"trials": 100}, stop={"failures_in_row": 4}
    )
    run = campaigns.ended(campaign_id)
    assert run["state"] == "failed"
    assert "4 trials failed one after another" in run["envelope"]["error"]["message"]
    assert len(campaigns.trials(campaign_id)) < 20
    assert run["envelope"]["error"]["remedy"]


def test_a_trial_that_is_not_worth_going_on_stops_within_a_report_and_frees_its_slot(campaigns: Campaigns) -> None:
    campaigns.start(slots=1)
    journal = campaigns.platform.journal()
    campaign_id = campaigns.submit(
        kind="test.seek.supervised",
        base={"steps": 20, "step_s": 1.0, "journal": str(journal)},
        space={"x": {"type": "float", "low": -5, "high": 5}},
        pruner={"type": "threshold", "upper": 0.0},
        budget={"trials": 2},
        max_parallel=1,
        stop={"failures_in_row": 50},
    )
    assert campaigns.ended(campaign_id)["state"] == "failed"  # of two trials none was worth going on
    trials = campaigns.trials(campaign_id)
    assert [trial["state"] for trial in trials] == ["pruned"] * 2
    for trial in trials:
        assert list(trial["reports"]) == ["1"]
        assert trial["scores"] == [trial["reports"]["1"]]
    stops = [line for line in journal.read_text().splitlines() if line.startswith("stop")]
    assert len(stops) == 2
    assert all(int(line.rpartition("=")[2]) <= 3 for line in stops), stops  # looked at before step 3: within a report


def test_a_campaign_that_is_paused_in_the_middle_and_resumed_tries_exactly_its_trials(campaigns: Campaigns) -> None:
    campaigns.start(slots=8)
    journal = campaigns.platform.journal()
    base = {"steps": 4, "step_s": 0.3, "journal": str(journal)}
    campaign_id = campaigns.submit(
        kind="test.seek.supervised", base=base, budget={"trials": 12, "wall_s": 600}, max_parallel=8
    )
    all_running(campaigns, campaign_id, 8)
    with transaction(campaigns.platform.engine) as session:
        request_pause(session, campaign_id)
    paused = "SELECT count(*) AS n FROM runs WHERE parent_id = :id AND state = 'paused'"
    until(lambda: campaigns.platform.rows(paused, id=campaign_id)[0]["n"] == 8, 30, "eight trials rest")
    until(lambda: campaigns.row(campaign_id)["active_since"] is None, 10, "the clock stands")
    with transaction(campaigns.platform.engine) as session:
        resume(session, campaign_id)
    assert campaigns.ended(campaign_id)["state"] == "succeeded"
    assert states(campaigns, campaign_id) == ["complete"] * 12
    assert campaigns.platform.rows("SELECT count(*) AS n FROM runs WHERE parent_id = :id", id=campaign_id)[0]["n"] == 12
    starts = [line for line in journal.read_text().splitlines() if line.startswith("start")]
    assert any(not line.endswith("from=0") for line in starts)  # they went on where they had stopped


def test_a_preempted_trial_is_resumed_and_not_told_as_a_failure(campaigns: Campaigns) -> None:
    campaigns.start(slots=1)
    journal = campaigns.platform.journal()
    base = {"steps": 6, "step_s": 0.3, "journal": str(journal)}
    campaign_id = campaigns.submit(kind="test.seek.supervised", base=base, budget={"trials": 1}, max_parallel=1)
    until(lambda: journal.exists() and "start" in journal.read_text(), 30)
    campaigns.platform.kill("worker-0", signal.SIGTERM)
    campaigns.start_worker("worker-1", 1)
    assert campaigns.ended(campaign_id)["state"] == "succeeded"
    (trial,) = campaigns.trials(campaign_id)
    assert (trial["state"], trial["tries"]) == ("complete", 1)
    (run,) = campaigns.platform.rows("SELECT attempt, crashes FROM runs WHERE parent_id = :id", id=campaign_id)
    assert (run["attempt"], run["crashes"]) == (2, 0)


@pytest.mark.parametrize("running", ["finish", "cancel"])
def test_a_campaign_that_is_stopped_ends_with_what_it_has_found(campaigns: Campaigns, running: str) -> None:
    campaigns.start(slots=2)
    campaign_id = campaigns.submit(base={"steps": 3, "step_s": 0.2}, budget={"trials": 500}, max_parallel=2)
    until(lambda: states(campaigns, campaign_id).count("complete") >= 2, 30)
    with transaction(campaigns.platform.engine) as session:
        control.stop(session, session.get_one(Campaign, campaign_id), StopRequest(running=running))
    run = campaigns.ended(campaign_id)
    assert run["state"] == "succeeded"
    assert run["envelope"]["result"]["reason"] == "stopped by a person"
    ends = {"complete"} if running == "finish" else {"complete", "cancelled"}
    assert set(states(campaigns, campaign_id)) <= ends
    assert not campaigns.platform.rows(
        "SELECT 1 FROM runs WHERE parent_id = :id AND finished_at IS NULL", id=campaign_id
    )


def test_a_campaign_that_is_cancelled_cancels_its_trials_and_names_no_winner(campaigns: Campaigns) -> None:
    campaigns.start(slots=2)
    campaign_id = campaigns.submit(base={"steps": 50, "step_s": 0.2}, budget={"trials": 50}, max_parallel=2)
    all_running(campaigns, campaign_id, 2)
    with transaction(campaigns.platform.engine) as session:
        request_cancel(session, campaign_id)
    assert campaigns.ended(campaign_id)["state"] == "cancelled"
    assert states(campaigns, campaign_id) == ["cancelled"] * 2


def test_a_point_that_a_person_asks_for_is_tried_next_and_what_it_leaves_open_is_sampled(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 6}, max_parallel=2)
    campaigns.advance(campaign_id)
    with transaction(campaigns.platform.engine) as session:
        number = control.enqueue(session, session.get_one(Campaign, campaign_id), {"x": 0.5})
    campaigns.play(campaign_id)
    campaigns.advance(campaign_id)
    trial = campaigns.trials(campaign_id)[number]
    assert (trial["state"], trial["origin"], trial["params"]["x"]) == ("running", "person", 0.5)
    assert -5 <= trial["params"]["y"] <= 5
    assert len(campaigns.drive(campaign_id)) == 6


def test_more_slots_and_more_trials_may_be_given_while_it_goes_on(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 2}, max_parallel=1)
    campaigns.advance(campaign_id)
    assert len(campaigns.trials(campaign_id)) == 1
    with transaction(campaigns.platform.engine) as session:
        found = session.get_one(Campaign, campaign_id)
        wanted = CampaignChange(max_parallel=3, budget=Budget(trials=7))
        control.change(session, campaigns.platform.settings, found, wanted)
    campaigns.advance(campaign_id)
    assert len(campaigns.trials(campaign_id)) == 3
    assert len(campaigns.drive(campaign_id)) == 7


def test_a_fork_knows_the_trials_of_its_origin_and_shows_the_gain(campaigns: Campaigns) -> None:
    first = campaigns.submit(name="first", budget={"trials": 10})
    campaigns.drive(first)
    changes = {"space": {"x": {"type": "float", "low": -3, "high": 3}, "y": {"type": "float", "low": -5, "high": 5}}}
    with transaction(campaigns.platform.engine) as session:
        found = session.get_one(Campaign, first)
        wanted = ForkRequest(name="second", changes={**changes, "budget": {"trials": 5}})
        second = control.fork(session, campaigns.platform.settings, campaigns.platform.caller, found, wanted, None)
    trials = campaigns.drive(second)
    carried = [trial for trial in trials if trial["origin"] == "carried"]
    fitting = [trial for trial in campaigns.trials(first) if -3 <= trial["params"]["x"] <= 3]
    assert [trial["params"] for trial in carried] == [trial["params"] for trial in fitting]
    assert len(trials) == len(fitting) + 5
    result = campaigns.platform.run(second)["envelope"]["result"]
    assert result["carried_best"] == [min(trial["scores"][0] for trial in fitting)]
    assert result["best"]["values"][0] <= result["carried_best"][0]
    assert result["trials"]["carried"] == len(fitting)


def test_a_trial_whose_run_was_lost_too_often_is_tried_again_at_the_same_point(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 1}, max_parallel=1, retries=1)
    campaigns.advance(campaign_id)
    (before,) = campaigns.trials(campaign_id)
    with transaction(campaigns.platform.engine) as session:
        sync.claim(session, before["run_id"], 1, "here", 60)
        run = session.get_one(Run, before["run_id"])
        error = named_cause("Lost", "its node died", "", Cause.LOST_NODE)
        sync.finish(session, run.id, RunState.QUARANTINED, failure(run, error), attempt=1)
    campaigns.advance(campaign_id)
    (after,) = campaigns.trials(campaign_id)
    assert (after["state"], after["tries"], after["params"]) == ("running", 2, before["params"])
    assert after["run_id"] != before["run_id"]
    campaigns.drive(campaign_id)
    assert states(campaigns, campaign_id) == ["complete"]


def test_a_full_queue_of_the_project_delays_trials_and_loses_none(campaigns: Campaigns) -> None:
    with transaction(campaigns.platform.engine) as session:
        session.execute(text("UPDATE projects SET max_queued = 2"))
    campaign_id = campaigns.submit(budget={"trials": 6}, max_parallel=4)
    campaigns.advance(campaign_id)
    assert len(campaigns.trials(campaign_id)) == 2
    assert campaigns.row(campaign_id)["look_at"] is not None
    assert len(campaigns.drive(campaign_id)) == 6


def test_a_time_budget_ends_a_campaign_that_nobody_touches(campaigns: Campaigns) -> None:
    campaigns.start(slots=2)
    campaign_id = campaigns.submit(base={"sleep_s": 0.2}, budget={"wall_s": 2.0}, max_parallel=2)
    run = campaigns.ended(campaign_id)
    assert run["envelope"]["result"]["reason"] == "its time is over (2 s)"


def test_a_cost_budget_counts_the_hours_that_trials_held_a_slot(make_platform: MakePlatform) -> None:
    pools = [{"name": "test", "lead": 1, "price_per_hour": 3600.0}, {"name": "hpo"}]
    campaigns = Campaigns(make_platform(FAULTLINE_POOLS=json.dumps(pools)))
    campaigns.start(slots=1)
    campaign_id = campaigns.submit(base={"sleep_s": 0.5}, budget={"cost": 1.4}, max_parallel=1)
    run = campaigns.ended(campaign_id)
    assert "budget of 1.4 is used up" in run["envelope"]["result"]["reason"]
    assert 1.4 <= campaigns.row(campaign_id)["cost"] < 3.0


def test_a_target_ends_a_campaign_at_once(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 500}, stop={"target": 5.0}, sampler={"type": "random"})
    trials = campaigns.drive(campaign_id)
    assert len(trials) < 200
    assert min(trial["scores"][0] for trial in trials if trial["scores"]) <= 5.0


def test_a_bound_of_what_could_be_gained_ends_a_campaign(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 60}, stop={"regret_bound": 1e6}, sampler={"type": "random"})
    trials = campaigns.drive(campaign_id)
    assert len(trials) < 20
    assert "could still be gained" in campaigns.row(campaign_id)["reason"]


def test_trials_that_break_a_limit_are_never_the_best(campaigns: Campaigns) -> None:
    limits = [{"result": "cost", "max": 2.0}]
    campaign_id = campaigns.submit(budget={"trials": 30}, constraints=limits)
    trials = campaigns.drive(campaign_id)
    allowed = [trial for trial in trials if trial["violations"][0] <= 0]
    assert 0 < len(allowed) < 30
    best = min(allowed, key=lambda trial: trial["scores"][0])
    assert campaigns.platform.run(campaign_id)["envelope"]["result"]["best"]["number"] == best["number"]


def test_of_two_objectives_the_front_is_returned(campaigns: Campaigns) -> None:
    both = [{"result": "value", "goal": "minimize"}, {"result": "other", "goal": "minimize"}]
    campaign_id = campaigns.submit(budget={"trials": 20}, objectives=both, sampler={"type": "nsga2", "population": 4})
    trials = campaigns.drive(campaign_id)
    scores = {trial["number"]: trial["scores"] for trial in trials}
    front = {
        number
        for number, (a, b) in scores.items()
        if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in scores.values())
    }
    result = campaigns.platform.run(campaign_id)["envelope"]["result"]
    told = {tuple(trial["values"]) for trial in result["front"]}
    assert told == {tuple(scores[number]) for number in front}


def test_a_step_that_asks_for_long_lets_others_in_between(
    campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_LONGEST_S", -1.0)
    campaign_id = campaigns.submit(budget={"trials": 3}, max_parallel=3)
    campaigns.advance(campaign_id)
    assert campaigns.trials(campaign_id) == []
    monkeypatch.undo()
    steps = "SELECT count(*) AS n FROM outbox WHERE step = 'campaign.advance'"
    assert campaigns.platform.rows(steps)[0]["n"] == 2  # the first one, and the one that goes on
    campaigns.advance(campaign_id)
    assert len(campaigns.trials(campaign_id)) == 3

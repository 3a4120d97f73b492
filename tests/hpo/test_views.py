"""What a campaign looks like, beside what was worked out by hand."""

import time
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.campaigns.sampling import places
from shared.campaigns.slots import packed
from shared.campaigns.views import Wanted, look, looked_at
from shared.contracts.campaign_views import MOST_POINTS, ViewName
from shared.db.session import transaction
from shared.errors import UserError
from tests.hpo.recorded import record, record_many
from tests.hpo.support import Campaigns

LIMITS = [{"result": "cost", "max": 2.0}]
BOTH = [{"result": "value", "goal": "minimize"}, {"result": "other", "goal": "maximize"}]


def see(campaigns: Campaigns, campaign_id: UUID, name: str, **wanted: Any) -> dict[str, Any]:
    with transaction(campaigns.platform.engine) as session:
        return look(session, looked_at(session, campaign_id), ViewName(name), Wanted(**wanted)).model_dump(mode="json")


def test_the_history_shows_values_and_the_steps_of_the_best_allowed_one(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(constraints=LIMITS)
    values = [(9.0, -1.0), (5.0, 0.5), (7.0, 0.0), (4.0, -2.0), (4.0, 0.0), (1.0, 3.0)]
    trials: list[dict[str, Any]] = [
        {"params": {"x": value, "y": 0.0}, "scores": [value], "violations": [broken]} for value, broken in values
    ]
    trials.insert(2, {"params": {"x": 0.0, "y": 0.0}, "state": "failed"})
    record(campaigns, campaign_id, trials, [(4, [4.0])])
    view = see(campaigns, campaign_id, "history")
    assert [(p["number"], p["value"], p["allowed"]) for p in view["points"]] == [
        (0, 9.0, True),
        (1, 5.0, False),
        (3, 7.0, True),
        (4, 4.0, True),
        (5, 4.0, True),
        (6, 1.0, False),
    ]
    assert view["best"] == [{"number": n, "value": v} for n, v in ((0, 9.0), (3, 7.0), (4, 4.0))]
    assert (view["shown"], view["total"], view["best_total"]) == (6, 6, 3)
    assert view["objective"] == {"result": "value", "goal": "minimize"}


def test_a_parameter_that_is_searched_here_and_there_is_shown_where_it_is(campaigns: Campaigns) -> None:
    space = {
        "kind": {"type": "categorical", "choices": ["a", "b"]},
        "extra": {"type": "float", "low": 0.1, "high": 10, "log": True, "when": {"kind": ["b"]}},
    }
    campaign_id = campaigns.submit(space=space)
    points = [{"kind": "a"}, {"kind": "b", "extra": 0.5}, {"kind": "b", "extra": 2.0}]
    record(campaigns, campaign_id, [{"params": p, "scores": [float(i)]} for i, p in enumerate(points)], [(0, [0.0])])
    parallel = see(campaigns, campaign_id, "parallel")
    assert [line["params"] for line in parallel["lines"]] == points
    assert [axis["name"] for axis in parallel["axes"]] == ["kind", "extra"]
    assert parallel["axes"][1]["log"] is True
    cut = see(campaigns, campaign_id, "slice", x="extra")
    assert [(p["number"], p["x"], p["value"]) for p in cut["points"]] == [(1, 0.5, 1.0), (2, 2.0, 2.0)]
    contour = see(campaigns, campaign_id, "contour")
    assert (contour["x"]["name"], contour["y"]["name"], contour["total"]) == ("kind", "extra", 2)
    assert (contour["points"][0]["x"], contour["points"][0]["y"]) == ("b", 0.5)


def test_of_several_objectives_the_front_is_marked(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(objectives=BOTH)
    scores = [[1.0, 1.0], [2.0, 3.0], [3.0, 2.0]]
    trials = [{"params": {"x": 0.0, "y": 0.0}, "scores": both} for both in scores]
    record(campaigns, campaign_id, trials, [(0, scores[0]), (1, scores[1])])
    view = see(campaigns, campaign_id, "pareto")
    assert [(point["values"], point["on_front"]) for point in view["points"]] == [
        ([1.0, 1.0], True),
        ([2.0, 3.0], True),
        ([3.0, 2.0], False),
    ]
    best = see(campaigns, campaign_id, "history", objective=1)["best"]
    assert [step["number"] for step in best] == [0, 1]


def test_rungs_count_who_came_and_who_was_stopped(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(pruner={"type": "asha", "min_steps": 1, "reduction": 3})
    point = {"x": 0.0, "y": 0.0}
    trials: list[dict[str, Any]] = [
        {"params": point, "scores": [1.0], "reports": {"1": 5.0, "3": 2.0, "9": 1.0}},
        {"params": point, "scores": [4.0], "reports": {"1": 6.0, "3": 4.0}, "state": "pruned"},
        {"params": point, "scores": [9.0], "reports": {"1": 9.0}, "state": "pruned"},
        {"params": point, "reports": {"1": 7.0}, "state": "failed"},
    ]
    record(campaigns, campaign_id, trials, [(0, [1.0])])
    rungs = see(campaigns, campaign_id, "rungs")["rungs"]
    assert [(rung["step"], rung["reached"], rung["stopped"]) for rung in rungs] == [(1, 4, 1), (3, 2, 1), (9, 1, 0)]
    assert [(rung["best"], rung["median"]) for rung in rungs] == [(5.0, 6.5), (2.0, 3.0), (1.0, 1.0)]


def test_lanes_are_as_many_as_there_are_runs_at_once() -> None:
    assert packed([(0, 4), (1, 2), (2, 3), (2, None), (3, 5), (4, 5)]) == [0, 1, 1, 2, 1, 0]


def test_the_timeline_shows_each_run_of_a_trial_also_one_that_was_tried_again(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 3}, max_parallel=2)
    campaigns.drive(campaign_id)
    runs = campaigns.platform.rows("SELECT id FROM runs WHERE parent_id = :id ORDER BY id", id=campaign_id)
    with transaction(campaigns.platform.engine) as session:
        clock = "UPDATE runs SET started_at = '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => :a), "
        clock += "finished_at = '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => :b) WHERE id = :id"
        for run, (begun, ended) in zip(runs, [(0, 10), (2, 5), (6, 8)], strict=True):
            session.execute(text(clock), {"id": run["id"], "a": begun, "b": ended})
        session.execute(text("UPDATE trials SET run_id = :other WHERE number = 1"), {"other": runs[2]["id"]})
        session.execute(text("UPDATE trials SET run_id = NULL WHERE number = 2"))
    view = see(campaigns, campaign_id, "timeline")
    told = [(bar["number"], bar["lane"], bar["start_s"], bar["end_s"], bar["state"]) for bar in view["bars"][:2]]
    assert told == [(0, 0, 0.0, 10.0, "complete"), (1, 1, 2.0, 5.0, "failed")]
    assert view["lanes"] == 2
    assert {bar["lane"] for bar in view["bars"][2:]} == {1}


def test_a_campaign_without_trials_has_empty_views(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit()
    for name in set(ViewName) - {ViewName.PARETO, ViewName.IMPORTANCE}:
        view = see(campaigns, campaign_id, name)
        assert (view["shown"], view["total"]) == (0, 0)
    assert see(campaigns, campaign_id, "importance")["note"]


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("slice", {"x": "nothing"}, "'nothing' is not searched"),
        ("contour", {"x": "x", "y": "x"}, "the same parameter"),
        ("pareto", {}, "one objective"),
        ("history", {"objective": 1}, "there is no 1"),
    ],
)
def test_a_view_that_cannot_be_is_refused_with_a_remedy(
    campaigns: Campaigns, name: str, wanted: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as refused:
        see(campaigns, campaigns.submit(), name, **wanted)
    assert refused.value.remedy


def test_a_sample_is_even_and_has_the_ends_and_what_matters() -> None:
    chosen = places(1_000_000, 100, [17, 999])
    assert len(chosen) <= 100
    assert {0, 17, 999, 999_999} <= set(chosen)
    assert max(b - a for a, b in pairwise(chosen)) < 12_000
    assert places(5, 100) == [0, 1, 2, 3, 4]


def test_fifty_thousand_trials_are_seen_in_a_moment_and_in_part(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 50_000})
    record_many(campaigns, campaign_id, 50_000)
    best = campaigns.row(campaign_id)["front"][0]
    began_s = time.perf_counter()
    views = {name: see(campaigns, campaign_id, name) for name in set(ViewName) - {ViewName.PARETO}}
    took_s = time.perf_counter() - began_s
    assert took_s < 20.0  # 1.3 s by itself on two busy cores; what looked at pairs of trials would take hours
    points = {"history": "points", "parallel": "lines", "slice": "points", "contour": "points"}
    for name, field in points.items():
        view = views[ViewName(name)]
        numbers = [point["number"] for point in view[field]]
        assert view["total"] == 40_000
        assert view["shown"] == len(numbers) <= MOST_POINTS
        assert len(numbers) > 0.9 * MOST_POINTS
        assert {0, best[0], 49_998} <= set(numbers)
    assert views[ViewName.HISTORY]["best"][-1] == {"number": best[0], "value": best[1][0]}
    assert [rung["reached"] for rung in views[ViewName.RUNGS]["rungs"]] == [50_000, 50_000, 40_000, 40_000, 40_000]
    assert views[ViewName.TIMELINE]["total"] == 50_000
    assert best[0] in {bar["number"] for bar in views[ViewName.TIMELINE]["bars"]}
    again = see(campaigns, campaign_id, "history")
    assert again == views[ViewName.HISTORY]

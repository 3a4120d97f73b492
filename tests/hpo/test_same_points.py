"""What is asked depends on the rows and the seed alone: not on which process asks, nor on what it remembers."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.hpo import advance as coordinator
from services.hpo import asking
from tests.hpo.support import Campaigns

NUMBERS = {
    "x": {"type": "float", "low": -5, "high": 5},
    "y": {"type": "float", "low": -5, "high": 5},
}
MIXED = NUMBERS | {
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "extra": {"type": "float", "low": 0.01, "high": 10, "log": True, "when": {"kind": ["b"]}},
    "layers": {"type": "list", "length": [1, 3], "item": {"width": {"type": "int", "low": 4, "high": 32}}},
    "z": {"type": "categorical", "choices": [[1.0], [0.5, 0.5], []]},
}
BOTH = [{"result": "value", "goal": "minimize"}, {"result": "cost", "goal": "minimize"}]
ASHA = {"type": "asha", "min_steps": 1, "reduction": 2}
HYPERBAND = {"type": "hyperband", "min_steps": 1, "max_steps": 8, "reduction": 2}
CASES: dict[str, dict[str, Any]] = {
    "tpe": {"sampler": {"type": "tpe", "startup_trials": 5}},
    "tpe over a mixed space": {"sampler": {"type": "tpe", "startup_trials": 5}, "space": MIXED},
    "tpe with limits": {"sampler": {"type": "tpe", "startup_trials": 5}, "constraints": [{"result": "cost", "max": 0}]},
    "gp": {"sampler": {"type": "gp", "startup_trials": 5}, "budget": {"trials": 12}},
    "cmaes": {"sampler": {"type": "cmaes", "population": 4}},
    "qmc": {"sampler": {"type": "qmc"}},
    "random": {"sampler": {"type": "random"}},
    "grid": {
        "sampler": {"type": "grid"},
        "space": {
            "x": {"type": "int", "low": 0, "high": 4},
            "kind": {"type": "categorical", "choices": ["a", "b"]},
            "extra": {"type": "float", "low": 1, "high": 2, "step": 0.5, "when": {"kind": ["b"]}},
        },
    },
    "nsga2": {"sampler": {"type": "nsga2", "population": 4}, "objectives": BOTH},
    "tpe for two objectives": {"sampler": {"type": "tpe", "startup_trials": 5}, "objectives": BOTH},
}


@pytest.fixture(autouse=True)
def _nothing_is_warm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # a slow machine would ask for fewer trials in a step, and so by other rows
    monkeypatch.setattr(asking, "_LONGEST_S", float("inf"))
    coordinator._WARM.clear()
    yield
    coordinator._WARM.clear()


def points(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [trial["params"] for trial in trials]


@pytest.mark.parametrize("case", CASES)
def test_a_study_that_is_read_anew_at_each_step_asks_the_same_points(campaigns: Campaigns, case: str) -> None:
    fields: dict[str, Any] = {"budget": {"trials": 24}, "max_parallel": 3} | CASES[case]
    warm = campaigns.drive(campaigns.submit(name="warm", **fields))
    cold = campaigns.drive(campaigns.submit(name="cold", **fields), coordinator._WARM.clear)
    assert points(cold) == points(warm)
    assert len({str(point) for point in points(warm)}) > len(warm) / 2
    assert [trial["attrs"].keys() for trial in cold] == [trial["attrs"].keys() for trial in warm]


@pytest.mark.parametrize("case", CASES)
def test_two_coordinators_that_take_turns_ask_the_same_points(
    campaigns: Campaigns, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {"budget": {"trials": 24}, "max_parallel": 3} | CASES[case]
    one = campaigns.drive(campaigns.submit(name="one", **fields))
    memories = [type(coordinator._WARM)(), type(coordinator._WARM)()]

    def other() -> None:
        memories.reverse()
        monkeypatch.setattr(coordinator, "_WARM", memories[0])

    two = campaigns.drive(campaigns.submit(name="two", **fields), other)
    assert points(two) == points(one)
    assert all(len(memory) <= 1 for memory in memories)


@pytest.mark.parametrize("pruner", [ASHA, HYPERBAND], ids=["asha", "hyperband"])
def test_pruning_is_the_same_for_a_study_that_is_read_anew(campaigns: Campaigns, pruner: dict[str, Any]) -> None:
    def drive(name: str, cold: bool) -> list[dict[str, Any]]:
        campaign_id = campaigns.submit(name=name, budget={"trials": 16}, max_parallel=4, pruner=pruner)
        while campaigns.platform.run(campaign_id)["state"] == "waiting":
            for step in (1, 2, 4):
                if cold:
                    coordinator._WARM.clear()
                campaigns.advance(campaign_id)
                for trial in campaigns.trials(campaign_id):
                    if trial["state"] == "running":
                        campaigns.report(trial["run_id"], step, trial["params"]["x"] ** 2 + 1 / step)
            campaigns.advance(campaign_id)
            for trial in campaigns.trials(campaign_id):
                if trial["state"] == "running":
                    campaigns.end(trial["run_id"], trial["params"]["x"] ** 2)
                elif trial["state"] == "pruning":
                    campaigns.give_up(trial["run_id"])
            campaigns.advance(campaign_id)
        return campaigns.trials(campaign_id)

    warm, cold = drive("warm", cold=False), drive("cold", cold=True)
    told = ("params", "state", "reports", "attrs")
    assert [[trial[name] for name in told] for trial in cold] == [[trial[name] for name in told] for trial in warm]
    assert {trial["state"] for trial in warm} == {"complete", "pruned"}


def test_a_coordinator_that_dies_at_any_statement_of_a_step_changes_nothing_of_what_is_asked(
    campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {
        "budget": {"trials": 18},
        "max_parallel": 3,
        "sampler": {"type": "tpe", "startup_trials": 3},
    }
    undisturbed = campaigns.drive(campaigns.submit(name="undisturbed", **fields))
    campaign_id = campaigns.submit(name="disturbed", **fields)
    deaths = 0
    while campaigns.platform.run(campaign_id)["state"] == "waiting":
        for statement in range(1, 200):
            if not dies_at(campaigns, monkeypatch, campaign_id, statement):
                break
            deaths += 1
        campaigns.play(campaign_id)
    trials = campaigns.trials(campaign_id)
    assert points(trials) == points(undisturbed)
    assert [trial["tries"] for trial in trials] == [1] * 18
    assert len(campaigns.platform.rows("SELECT 1 FROM runs WHERE parent_id = :id", id=campaign_id)) == 18
    assert deaths > 50


class Died(BaseException):
    """The coordinator is gone."""


def dies_at(campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, campaign_id: Any, number: int) -> bool:
    """Run a step that ends before its statement of this number. False: it has fewer, and is done."""
    execute, seen = Session.execute, []

    def counted(self: Session, *args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        if len(seen) == number:
            raise Died
        return execute(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "execute", counted)
        try:
            campaigns.advance(campaign_id)
        except Died:
            return True
    return False


def test_ten_more_steps_change_nothing(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 8}, max_parallel=4)
    campaigns.advance(campaign_id)
    campaigns.play(campaign_id)
    campaigns.advance(campaign_id)

    def everything() -> list[Any]:
        counts = campaigns.platform.rows("SELECT count(*) FROM outbox UNION ALL SELECT count(*) FROM run_events")
        runs = campaigns.platform.rows("SELECT * FROM runs ORDER BY id")
        return [campaigns.row(campaign_id), campaigns.trials(campaign_id), runs, counts]

    before = everything()
    for _ in range(10):
        campaigns.advance(campaign_id)
    assert everything() == before

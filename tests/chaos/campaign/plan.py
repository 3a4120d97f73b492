"""What is submitted: runs of every sort, each with the end that it must come to."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.contracts.states import RunState


@dataclass
class Planned:
    """One run: what is asked for, when, and how it must end."""

    number: int
    sort: str
    kind: str
    spec: dict[str, Any]
    ends: RunState
    pool: str | None = None
    priority: int = 0
    submit_s: float = 0.0  #: after the begin
    cancel_s: float | None = None  #: after it was accepted
    run_id: UUID | None = None
    accepted_s: float = 0.0
    cancelled: bool = False
    journal: str = field(init=False)

    def __post_init__(self) -> None:
        self.journal = f"run-{self.number:04d}"


def _inline(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.inline", {"steps": dice.randint(1, 6), "step_s": dice.uniform(0, 0.05)}, RunState.SUCCEEDED


def _supervised(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.supervised", {"steps": dice.randint(3, 10), "step_s": dice.uniform(0, 0.1)}, RunState.SUCCEEDED


def _long(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.supervised", {"steps": dice.randint(20, 30), "step_s": 0.15}, RunState.SUCCEEDED


def _long_inline(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.inline", {"steps": dice.randint(15, 25), "step_s": 0.1}, RunState.SUCCEEDED


def _flaky(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.supervised", {"steps": 8, "step_s": 0.05, "crash_at": dice.randint(2, 6)}, RunState.SUCCEEDED


def _failing(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    kind = dice.choice(["test.inline", "test.supervised"])
    return kind, {"steps": 5, "step_s": 0.02, "fail_at": dice.randint(0, 4)}, RunState.FAILED


def _overlong(_dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.brief", {"steps": 100, "step_s": 0.1, "heeds_stop": False}, RunState.FAILED


def _large(_dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.inline", {"steps": 1, "result_bytes": 200_000}, RunState.SUCCEEDED


def _too_large(_dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    return "test.supervised", {"steps": 1, "result_bytes": 400_000}, RunState.FAILED


def _unwanted(dice: random.Random) -> tuple[str, dict[str, Any], RunState]:
    kind = dice.choice(["test.inline", "test.supervised"])
    return kind, {"steps": 2000, "step_s": 0.1, "heeds_stop": dice.random() < 0.7}, RunState.CANCELLED


#: sort -> (of a hundred, how it is made)
SORTS: dict[str, tuple[int, Callable[[random.Random], tuple[str, dict[str, Any], RunState]]]] = {
    "inline": (30, _inline),
    "supervised": (18, _supervised),
    "long": (8, _long),
    "long inline": (8, _long_inline),
    "flaky": (8, _flaky),
    "failing": (8, _failing),
    "overlong": (3, _overlong),
    "large result": (5, _large),
    "too large result": (2, _too_large),
    "unwanted": (10, _unwanted),
}


def plan(runs: int, dice: random.Random, every_s: float, pools: list[str]) -> list[Planned]:
    """`runs` of them, one `every_s` on average; at least one of each sort if there are enough."""
    sorts = list(SORTS)[:runs] + dice.choices(
        list(SORTS), [share for share, _make in SORTS.values()], k=max(0, runs - len(SORTS))
    )
    dice.shuffle(sorts)
    planned = []
    for number, sort in enumerate(sorts):
        kind, spec, ends = SORTS[sort][1](dice)
        planned.append(
            Planned(
                number,
                sort,
                kind,
                spec,
                ends,
                pool=dice.choice(pools),
                priority=dice.choice([-50, 0, 0, 0, 50]),
                submit_s=number * every_s + dice.uniform(0, every_s),
                cancel_s=dice.uniform(0, 4) if sort == "unwanted" else None,
            )
        )
    return planned

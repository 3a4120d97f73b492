"""What several trials at a time find beside Optuna one by one, with as many trials.

`python -m tests.hpo.quality tpe gp`: three functions whose minimum is known. With `--training`: a real, small training
(`small_training.py`), sought by `auto` and `tpe` unless others are named. It prints the median of the best over five
seeds. Trials end in rounds, which is the hardest case: the points of a round know nothing of one another's values.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from pydantic import TypeAdapter

from services.hpo.study import CampaignStudy, distribution
from shared.campaigns.checks import chosen
from shared.contracts.campaigns import CampaignSpec, Sampler, TrialState
from shared.contracts.space import flat
from tests.hpo.small_training import SPACE, SmallTraining
from tests.support.seeking import SeekSpec, campaign, value_of

RANGES = {
    "sphere": {"x": (-5.0, 5.0), "y": (-5.0, 5.0)},
    "branin": {"x": (-5.0, 10.0), "y": (0.0, 15.0)},
    "rosenbrock": {"x": (-2.0, 2.0), "y": (-1.0, 3.0)},
}
_SAMPLER: TypeAdapter[Sampler] = TypeAdapter(Sampler)


@dataclass(frozen=True)
class Problem:
    """What is minimised, and how long it is sought."""

    name: str
    space: Mapping[str, Any]
    value: Callable[[dict[str, Any]], float]
    trials: int
    rounds: tuple[int, ...]  #: trials at a time

    def spec(self, seed: int, sampler: str, at_once: int) -> CampaignSpec:
        """A campaign that seeks it."""
        return CampaignSpec.model_validate(
            campaign(
                space=self.space,
                seed=seed,
                sampler={"type": sampler},
                max_parallel=at_once,
                budget={"trials": self.trials},
            )
        )


def functions() -> list[Problem]:
    """Sphere, Branin and Rosenbrock in two dimensions."""

    def problem(name: str, ranges: dict[str, tuple[float, float]]) -> Problem:
        def value(point: dict[str, Any]) -> float:
            return value_of(SeekSpec.model_validate({"function": name, **point}))

        space = {place: {"type": "float", "low": low, "high": high} for place, (low, high) in ranges.items()}
        return Problem(name, space, value, trials=60, rounds=(8,))

    return [problem(name, ranges) for name, ranges in RANGES.items()]


def one_by_one(problem: Problem, seed: int) -> float:
    """The best that Optuna's TPE finds in sequence, as it comes out of the box."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    space = {leaf.name: distribution(leaf.leaf) for leaf in flat(problem.spec(seed, "tpe", 1).space)}
    for _ in range(problem.trials):
        trial = study.ask(space)
        study.tell(trial, problem.value(trial.params))
    return study.best_value


def at_once(problem: Problem, sampler: str, size: int, seed: int) -> float:
    """The best of a campaign whose trials end in rounds of `size`."""
    spec = problem.spec(seed, sampler, size)
    study = CampaignStudy(spec, chosen(spec))
    best = float("inf")
    while study.size < problem.trials:
        for number, point in [study.ask() for _ in range(min(size, problem.trials - study.size))]:
            found = problem.value(point)
            best = min(best, found)
            study.tell(number, TrialState.COMPLETE, [found])
    return best


def compare(problem: Problem, samplers: list[str], seeds: range) -> None:
    """Print the median of the best for each way to seek."""

    def tell(how: str, search: Callable[[int], float]) -> None:
        found = [search(seed) for seed in seeds]
        each = " ".join(f"{value:.4f}" for value in found)
        print(f"{problem.name:<12} {how:<24} median {median(found):.4f}   ({each})", flush=True)  # noqa: T201 - its output

    tell("one by one", partial(one_by_one, problem))
    for size in problem.rounds:
        for sampler in samplers:
            used = chosen(problem.spec(1, sampler, size)).type
            name = sampler if sampler == used else f"{sampler} ({used})"
            tell(f"{name}, {size} at once", partial(at_once, problem, sampler, size))


def main() -> None:
    """Compare."""
    parser = ArgumentParser(prog="python -m tests.hpo.quality")
    parser.add_argument("samplers", nargs="*", help="default: tpe; of the training auto and tpe")
    parser.add_argument("--training", action="store_true", help="a real training instead of functions")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each kind")
    asked = parser.parse_args()
    seeds = range(1, asked.seeds + 1)
    if not asked.training:
        for problem in functions():
            compare(problem, asked.samplers or ["tpe"], seeds)
        return
    with TemporaryDirectory() as folder:
        training = SmallTraining(Path(folder))
        problem = Problem("training", SPACE, training.value, trials=28, rounds=(4, 8))
        compare(problem, asked.samplers or ["auto", "tpe"], seeds)


if __name__ == "__main__":
    main()

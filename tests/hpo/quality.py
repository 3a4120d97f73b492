"""What eight trials at a time find beside Optuna one by one, with as many trials: `python -m tests.hpo.quality tpe gp`.

The median of the best over five seeds, on three functions whose minimum is known. Trials end in rounds of eight.
"""

import sys
from statistics import median
from typing import Any

import optuna
from pydantic import TypeAdapter

from services.hpo.study import CampaignStudy
from shared.contracts.campaigns import CampaignSpec, Sampler, TrialState
from tests.support.seeking import SeekSpec, campaign, value_of

TRIALS, SEEDS, AT_ONCE = 60, (1, 2, 3, 4, 5), 8
RANGES = {
    "sphere": {"x": (-5.0, 5.0), "y": (-5.0, 5.0)},
    "branin": {"x": (-5.0, 10.0), "y": (0.0, 15.0)},
    "rosenbrock": {"x": (-2.0, 2.0), "y": (-1.0, 3.0)},
}


def value(function: str, point: dict[str, Any]) -> float:
    """The function at a point."""
    return value_of(SeekSpec.model_validate({"function": function, **point}))


def one_by_one(function: str, seed: int) -> float:
    """The best that Optuna's own sampler finds in sequence."""

    def objective(trial: optuna.Trial) -> float:
        return value(function, {name: trial.suggest_float(name, *ends) for name, ends in RANGES[function].items()})

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(multivariate=True, seed=seed))
    study.optimize(objective, n_trials=TRIALS)
    return study.best_value


def at_once(function: str, seed: int, used: Sampler) -> float:
    """The best of a campaign whose trials end in rounds."""
    space = {name: {"type": "float", "low": low, "high": high} for name, (low, high) in RANGES[function].items()}
    study = CampaignStudy(CampaignSpec.model_validate(campaign(space=space, seed=seed, max_parallel=AT_ONCE)), used)
    best = float("inf")
    while study.size < TRIALS:
        for number, point in [study.ask() for _ in range(min(AT_ONCE, TRIALS - study.size))]:
            found = value(function, point)
            best = min(best, found)
            study.tell(number, TrialState.COMPLETE, [found])
    return best


def main() -> None:
    """Print the medians."""
    adapter: TypeAdapter[Sampler] = TypeAdapter(Sampler)
    for function in RANGES:
        told = [f"one by one {median(one_by_one(function, seed) for seed in SEEDS):.4f}"]
        for name in sys.argv[1:] or ["tpe"]:
            used = adapter.validate_python({"type": name})
            told.append(f"{name} at once {median(at_once(function, seed, used) for seed in SEEDS):.4f}")
        print(f"{function:<12} {'   '.join(told)}", flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    main()

"""What the demo trains: which splits, which models, under which names. Pure."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from shared.contracts.specs import Cnn1dRecipe, RandomForestRecipe, SplitSpec, TrainingSpec

SEED = 7
#: Small enough for three minutes on two cores, large enough to learn what there is to learn.
RECIPES: tuple[RandomForestRecipe | Cnn1dRecipe, ...] = (
    RandomForestRecipe(),
    Cnn1dRecipe(),
)
_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Fold:
    """One split of the data into training and test."""

    name: str
    split: SplitSpec


@dataclass(frozen=True)
class Experiment:
    """One question to the data; its folds are scored together."""

    key: str
    title: str
    rule: str  #: what stands on which side
    role: Literal["headline", "control"]
    folds: tuple[Fold, ...]


@dataclass(frozen=True)
class Plan:
    """All that is trained on one dataset, and what its physical units are called."""

    units: str
    experiments: tuple[Experiment, ...]


@dataclass(frozen=True)
class Job:
    """One training."""

    experiment: Experiment
    fold: Fold
    spec: TrainingSpec

    @property
    def model_type(self) -> str:
        """Type of its recipe."""
        return self.spec.recipe.type


def suffix(moment: float | None = None) -> str:
    """Differs from second to second, so that demos on one stack do not meet."""
    left, signs = int(time.time() if moment is None else moment), ""
    while left:
        left, digit = divmod(left, len(_SIGNS))
        signs = _SIGNS[digit] + signs
    return signs


def recorded_plan(labels: Mapping[str, Sequence[str]]) -> Plan:
    """For seeded faults of several sizes under several loads: unseen bearings first, then the same bearings again."""
    experiments = []
    sizes, loads = sorted(labels.get("size_mils", ())), sorted(labels.get("load_hp", ()))
    if len(sizes) > 1:
        folds = tuple(Fold(f"size-{size}", SplitSpec(by="size_mils", held_out=[size])) for size in sizes)
        rule = f"each fold leaves one fault size out ({', '.join(sizes)} mils): other bearings than those trained on"
        experiments.append(Experiment("size", "By fault size: unseen bearings", rule, "headline", folds))
    else:
        experiments.append(_by_unit("bearings"))
    if len(loads) > 1:
        fold = Fold("load", SplitSpec(by="load_hp", held_out=loads[1:]))
        rule = f"trained at {loads[0]} hp, tested at {', '.join(loads[1:])} hp: the same bearings on both sides"
        experiments.append(Experiment("load", "By load: same bearings", rule, "control", (fold,)))
    else:
        experiments.append(_by_record("bearings"))
    return Plan("bearings", tuple(experiments))


def generated_plan() -> Plan:
    """For synthetic records: unseen machines first, then other records of the same machines."""
    return Plan("machines", (_by_unit("machines"), _by_record("machines")))


def _by_unit(units: str) -> Experiment:
    fold = Fold("unit", SplitSpec(by="unit", test_fraction=0.34))
    rule = f"a third of the {units} of each fault is kept from training"
    return Experiment("unit", f"By {units[:-1]}: unseen {units}", rule, "headline", (fold,))


def _by_record(units: str) -> Experiment:
    fold = Fold("record", SplitSpec(by="record", test_fraction=0.34))
    rule = f"a third of the records of each fault is kept from training, but their {units} are not"
    return Experiment("record", f"By record: same {units}", rule, "control", (fold,))


def jobs(plan: Plan, dataset_id: UUID, mark: str) -> list[Job]:
    """Every training of a plan, the quick models first."""
    return [
        Job(
            experiment,
            fold,
            TrainingSpec(
                name=_name(f"demo-{mark}-{recipe.type}-{fold.name}"),
                dataset_id=dataset_id,
                recipe=recipe,
                split=fold.split,
                seed=SEED,
            ),
        )
        for recipe in RECIPES
        for experiment in plan.experiments
        for fold in experiment.folds
    ]


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:63]

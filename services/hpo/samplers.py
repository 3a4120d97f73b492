"""Samplers and pruners of Optuna, with every argument that decides a point written down.

A sampler is made anew for each question, seeded by (seed of the campaign, number of the trial): what it answers depends
on the rows alone, not on what this process has asked before. DECISIONS.md says what each needs stored.
"""

import warnings
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial

from shared.contracts.campaigns import CampaignSpec, Pruner, Sampler


def seed_of(seed: int, number: int) -> int:
    """The seed of one question."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


class _KnownSpace(samplers.BaseSampler):
    """For a space without conditions: it is known, and need not be found again in all trials at each question."""

    known: Mapping[str, BaseDistribution] = MappingProxyType({})

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is sampled together."""
        return dict(self.known) or super().infer_relative_search_space(study, trial)  # type: ignore[safe-super]


class _Tpe(_KnownSpace, samplers.TPESampler):
    pass


class _Qmc(_KnownSpace, samplers.QMCSampler):
    pass


class _Gp(_KnownSpace, samplers.GPSampler):
    pass


class _CmaEs(_KnownSpace, samplers.CmaEsSampler):
    pass


def make_sampler(
    spec: CampaignSpec, used: Sampler, number: int, known: dict[str, BaseDistribution]
) -> samplers.BaseSampler:
    """The sampler that is asked for trial `number`; `known` is the space where nothing of it depends on anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna's version is pinned
        made = _sampler(spec, used, number)
    if isinstance(made, _KnownSpace):
        made.known = known
    return made


def _sampler(spec: CampaignSpec, used: Sampler, number: int) -> samplers.BaseSampler:
    seed = seed_of(spec.seed, number)
    match used.type:
        case "tpe":
            return _Tpe(
                n_startup_trials=used.startup_trials or max(10, 2 * spec.max_parallel),
                multivariate=True,
                group=any(parameter.when or parameter.type == "list" for parameter in spec.space.values()),
                constant_liar=True,
                seed=seed,
            )
        case "gp":
            return _Gp(
                n_startup_trials=used.startup_trials,
                independent_sampler=samplers.RandomSampler(seed),
                seed=seed,
            )
        case "cmaes":
            return _CmaEs(
                popsize=used.population,
                independent_sampler=samplers.RandomSampler(seed),
                seed=seed,
            )
        case "qmc":
            return _Qmc(
                scramble=True,
                seed=spec.seed,  # of the one sequence that all trials share
                independent_sampler=samplers.RandomSampler(seed),
            )
        case "nsga2":
            return samplers.NSGAIISampler(population_size=used.population, seed=seed)
        case "random" | "grid" | "auto":
            return samplers.RandomSampler(seed)


def make_pruner(pruner: Pruner) -> pruners.BasePruner:
    """The pruner that judges at the steps of `next_rung`; it sees these steps only."""
    match pruner.type:
        case "none":
            return pruners.NopPruner()
        case "asha":
            return pruners.SuccessiveHalvingPruner(min_resource=pruner.min_steps, reduction_factor=pruner.reduction)
        case "hyperband":
            return pruners.HyperbandPruner(
                min_resource=pruner.min_steps, max_resource=pruner.max_steps, reduction_factor=pruner.reduction
            )
        case "median":
            return pruners.MedianPruner(n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup_steps)
        case "percentile":
            return pruners.PercentilePruner(
                pruner.percentile, n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup_steps
            )
        case "threshold":
            return pruners.ThresholdPruner(lower=pruner.lower, upper=pruner.upper, n_warmup_steps=pruner.warmup_steps)
        case "patient":
            inner = make_pruner(pruner.inner) if pruner.inner is not None else None
            return pruners.PatientPruner(inner, patience=pruner.patience, min_delta=pruner.min_delta)


def next_rung(pruner: Pruner, after: int) -> int | None:
    """The first step after `after` at which a trial is judged. None: never."""
    match pruner.type:
        case "none":
            return None
        case "asha" | "hyperband":
            step = pruner.min_steps
            while step <= after:
                step *= pruner.reduction
            return None if pruner.type == "hyperband" and step > pruner.max_steps else step
        case "patient":
            return after + 1
        case "median" | "percentile" | "threshold":
            first = max(1, pruner.warmup_steps)
            if after < first:
                return first
            return first + ((after - first) // pruner.interval + 1) * pruner.interval

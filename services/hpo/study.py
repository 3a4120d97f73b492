"""The study of one campaign in memory, made from our rows: the only place that talks to Optuna.

Trial numbers are ours and Optuna's alike. A study follows its rows: `catch_up` reads what has changed since the
revision that it has seen, so it may be dropped at any time and made again.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import optuna
import orjson
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.terminator import RegretBoundEvaluator
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as Theirs
from sqlalchemy import text

from services.hpo.samplers import make_pruner, make_sampler
from shared.contracts.campaigns import CampaignSpec, Sampler, TrialState
from shared.contracts.space import Categorical, Flat, IntRange, Leaf, Point, flat, grid
from shared.db.session import Executes

optuna.logging.set_verbosity(optuna.logging.WARNING)
#: Hyperband sorts trials into brackets by it, so it is the same for all.
_NAME = "campaign"
_THEIRS = {
    TrialState.ENQUEUED: Theirs.WAITING,
    TrialState.RUNNING: Theirs.RUNNING,
    TrialState.PRUNING: Theirs.PRUNED,
    TrialState.COMPLETE: Theirs.COMPLETE,
    TrialState.PRUNED: Theirs.PRUNED,
    TrialState.FAILED: Theirs.FAIL,
    TrialState.CANCELLED: Theirs.FAIL,
}
_CHANGED = text(
    "SELECT number, state, params, scores, violations, reports, attrs FROM trials "
    "WHERE campaign_id = :id AND revision > :revision ORDER BY number"
)


class OutOfStep(Exception):
    """A trial changed in a way that the study in memory cannot follow; it is made anew."""


class CampaignStudy:
    """Optuna's view of a campaign."""

    def __init__(self, spec: CampaignSpec, used: Sampler) -> None:
        self.spec = spec
        self.parameters = flat(spec.space)
        self._distributions = {parameter.name: distribution(parameter.leaf) for parameter in self.parameters}
        tied = any(parameter.leaf.when for parameter in self.parameters)
        several = {name: ours for name, ours in sorted(self._distributions.items()) if not ours.single()}
        self._known = {} if tied else several
        self._used = used
        self._revision = -1
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=_NAME,
            directions=[objective.goal for objective in spec.objectives],
            sampler=make_sampler(spec, used, 0, {}),
            pruner=make_pruner(spec.pruner),
        )
        self._id = self._study._study_id
        self.size = 0  #: how many trials there are
        self._grid: list[Point] | None = None

    def catch_up(self, session: Executes, campaign_id: UUID, revision: int, study_attrs: Mapping[str, Any]) -> None:
        """Follow the rows to `revision`. Raises `OutOfStep` where that is not possible."""
        if revision == self._revision:
            return
        rows = session.execute(_CHANGED, {"id": campaign_id, "revision": self._revision}).all()
        for row in rows:
            if row.number == self.size:
                self._add(row)
            elif row.number < self.size:
                self._follow(row)
            else:
                raise OutOfStep
        for name, value in study_attrs.items():
            self._storage.set_study_system_attr(self._id, name, value)
        self._revision = revision

    def is_at(self, revision: int) -> None:
        """All changes up to `revision` were made through this object."""
        self._revision = revision

    @property
    def attrs(self) -> dict[str, Any]:
        """What the sampler keeps of the whole study."""
        return dict(self._storage.get_study_system_attrs(self._id))

    def trial_attrs(self, number: int) -> dict[str, Any]:
        """What sampler and pruner keep of one trial."""
        return dict(self._storage.get_trial(self._trial_id(number)).system_attrs)

    def ask(self, fixed: Point | None = None) -> tuple[int, Point]:
        """The number and the point of the next trial: of the first enqueued one, else a new one. `fixed` sets it."""
        if fixed is not None:
            self._study.enqueue_trial(encoded(fixed))
        waiting = self._storage.get_all_trials(self._id, deepcopy=False, states=(Theirs.WAITING,))
        number = waiting[0].number if waiting else self.size
        self._study.sampler = make_sampler(self.spec, self._used, number, self._known)
        trial = self._study.ask()
        point: Point = {}
        for parameter in self.parameters:
            if parameter.active(point):
                point[parameter.name] = self._suggested(trial, parameter)
        self.size = max(self.size, trial.number + 1)
        return trial.number, point

    def _suggested(self, trial: optuna.Trial, parameter: Flat) -> Any:
        leaf, name = parameter.leaf, parameter.name
        if isinstance(leaf, Categorical):
            their: Any = self._distributions[name]
            chosen = trial.suggest_categorical(name, their.choices)
            return leaf.choices[their.choices.index(chosen)]
        if isinstance(leaf, IntRange):
            return trial.suggest_int(name, leaf.low, leaf.high, step=leaf.step, log=leaf.log)
        return trial.suggest_float(name, leaf.low, leaf.high, step=leaf.step, log=leaf.log)

    def grid_order(self, trials: int) -> list[Point]:
        """Every point of the grid, in the order drawn by the seed."""
        if self._grid is None:
            points = grid(self.parameters, trials)
            order = np.random.default_rng(self.spec.seed).permutation(len(points))
            self._grid = [points[index] for index in order]
        return self._grid

    def report(self, number: int, step: int, value: float) -> bool:
        """Note what a running trial told at a rung. True: it is not worth going on."""
        if not math.isfinite(value):
            return True
        trial_id = self._trial_id(number)
        self._storage.set_trial_intermediate_value(trial_id, step, value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def regret_bound(self) -> float:
        """An upper bound of what could still be gained over the best trial (Ishibashi et al., AISTATS 2023)."""
        trials = self._storage.get_all_trials(self._id, deepcopy=False, states=(Theirs.COMPLETE,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            evaluator = RegretBoundEvaluator()
        return float(evaluator.evaluate(trials, self._study.direction))

    def tell(
        self, number: int, state: TrialState, scores: Sequence[float] | None = None, violations: Sequence[float] = ()
    ) -> None:
        """Tell how a running trial has ended; Optuna takes the last value reported for that of a pruned one."""
        for name, violation in _constraints(violations).items():
            self._storage.set_trial_system_attr(self._trial_id(number), name, violation)
        self._study.tell(number, values=scores, state=_THEIRS[state])

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def _add(self, row: Any) -> None:
        self._study.add_trial(frozen(row, self._distributions))
        self.size += 1

    def _follow(self, row: Any) -> None:
        """Bring a trial that is here to what another process made of it."""
        trial_id = self._trial_id(row.number)
        here, state = self._storage.get_trial(trial_id), _THEIRS[TrialState(row.state)]
        if here.state == state and state.is_finished():
            return
        if here.state != Theirs.RUNNING:
            raise OutOfStep
        for name, value in row.attrs.items():
            self._storage.set_trial_system_attr(trial_id, name, value)
        for step, value in row.reports.items():
            self._storage.set_trial_intermediate_value(trial_id, int(step), value)
        if state.is_finished():
            self._storage.set_trial_state_values(trial_id, state, _values(row, state))


def frozen(row: Any, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """A trial's row as Optuna knows it; `distributions` by parameter."""
    state = _THEIRS[TrialState(row.state)]
    waiting = state == Theirs.WAITING
    return create_trial(
        state=state,
        params={} if waiting else encoded(row.params),
        distributions={} if waiting else {name: distributions[name] for name in row.params},
        values=_values(row, state),
        intermediate_values={int(step): value for step, value in row.reports.items()},
        system_attrs={"fixed_params": encoded(row.params)}
        if waiting
        else {**row.attrs, **_constraints(row.violations or [])},
    )


def _constraints(violations: Sequence[float]) -> dict[str, float]:
    """As Optuna keeps what `Trial.set_constraint` is told."""
    return {f"constraints:{index}": violation for index, violation in enumerate(violations)}


def _values(row: Any, state: Theirs) -> list[float] | None:
    return list(row.scores) if row.scores is not None and state in {Theirs.COMPLETE, Theirs.PRUNED} else None


def distribution(leaf: Leaf) -> BaseDistribution:
    """A parameter as Optuna knows it."""
    if isinstance(leaf, Categorical):
        return CategoricalDistribution([_plain(choice) for choice in leaf.choices])
    if isinstance(leaf, IntRange):
        return IntDistribution(leaf.low, leaf.high, log=leaf.log, step=leaf.step)
    return FloatDistribution(leaf.low, leaf.high, log=leaf.log, step=leaf.step)


def encoded(point: Mapping[str, Any]) -> dict[str, Any]:
    """A point as Optuna takes it: a choice that is a list as its JSON."""
    return {name: _plain(value) for name, value in point.items()}


def _plain(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, list) else value

"""Whether a campaign goes on: budgets and stop rules, by counts and clocks of our own rows."""

from typing import Any

from sqlalchemy.orm import Session

from services.hpo.rows import CampaignRow
from services.hpo.study import CampaignStudy
from shared.campaigns.used import running_s
from shared.contracts.campaigns import HOLDING, TrialState
from shared.settings import Settings

#: How often hours and money are looked at while nothing happens.
_LOOK_S = 30.0
#: A bound of the regret needs so many trials, and is dear: it is found again after so many more.
_FIRST_BOUND, _BOUND_EVERY = 10, 5


def reason_to_end(
    session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy, trials: list[Any]
) -> str | None:
    """Why nothing more is to be asked, in words. None: it goes on."""
    if row.reason is not None:
        return row.reason
    if row.stopping is not None:
        return "stopped by a person"
    return _spent(session, settings, row, trials) or _ruled(row, study)


def all_asked(row: CampaignRow, *, waiting: bool) -> str | None:
    """The reason to end once the budget of trials is used up; not while a point that somebody asked for waits."""
    trials = row.budget.trials
    return f"all {trials} trials were asked for" if trials is not None and row.own >= trials and not waiting else None


def _spent(session: Session, settings: Settings, row: CampaignRow, trials: list[Any]) -> str | None:
    budget = row.budget
    if (reason := all_asked(row, waiting=any(trial.state == TrialState.ENQUEUED for trial in trials))) is not None:
        return reason
    if budget.wall_s is not None and row.active_s >= budget.wall_s:
        return f"its time is over ({budget.wall_s:g} s)"
    if budget.gpu_hours is None and budget.cost is None:
        return None
    pool = settings.pool(row.pool)
    now_s = running_s(session, [trial.run_id for trial in trials if trial.state in HOLDING])
    gpu_s = row.gpu_s + (now_s if pool.resource_class == "gpu" else 0.0)
    if budget.gpu_hours is not None and gpu_s / 3600 >= budget.gpu_hours:
        return f"its {budget.gpu_hours:g} GPU hours are used up"
    if budget.cost is not None and row.cost + now_s / 3600 * pool.price_per_hour >= budget.cost:
        return f"its budget of {budget.cost:g} is used up"
    return None


def _ruled(row: CampaignRow, study: CampaignStudy) -> str | None:
    rules, objective = study.spec.stop, study.spec.objectives[0]
    if rules.target is not None and row.front:
        best = row.front[0][1][0]
        if best >= rules.target if objective.goal == "maximize" else best <= rules.target:
            return f"the target of {rules.target:g} was reached"
    if rules.no_improvement_trials is not None and row.ended - row.improved_at >= rules.no_improvement_trials:
        return f"no better trial among the last {row.ended - row.improved_at}"
    if row.failures >= rules.failures_in_row:
        return f"{row.failures} trials failed one after another"
    if rules.regret_bound is not None and row.ended >= _FIRST_BOUND and row.changed and row.ended % _BOUND_EVERY == 0:
        bound = study.regret_bound()
        if bound <= rules.regret_bound:
            return f"at most {bound:.3g} could still be gained"
    return None


def look_again_s(row: CampaignRow) -> float | None:
    """When the campaign is to be looked at even if nothing happens, from now."""
    if row.paused or row.reason is not None:
        return None
    waits = [max(0.0, row.budget.wall_s - row.active_s)] if row.budget.wall_s is not None else []
    if row.budget.gpu_hours is not None or row.budget.cost is not None:
        waits.append(_LOOK_S)
    return min(waits, default=None)

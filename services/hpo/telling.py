"""Tells the study how trials have ended, and tries again those that failed for no fault of their point."""

from typing import Any

import structlog
from sqlalchemy.orm import Session

from services.hpo import rows
from services.hpo.asking import may_queue, start
from services.hpo.rows import CampaignRow
from services.hpo.study import CampaignStudy
from shared.campaigns.trials import is_allowed, joined, last_reported, measured
from shared.campaigns.used import running_s
from shared.contracts.campaigns import TrialState
from shared.contracts.causes import Cause
from shared.contracts.states import RunState
from shared.settings import Settings

_log = structlog.get_logger(__name__)
#: It would fail in the same way again.
_HOPELESS = {Cause.BAD_INPUT, Cause.TOO_LARGE, Cause.TIME_LIMIT, Cause.BUG}


def tell(session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy, trials: list[Any]) -> list[Any]:
    """Tell every trial whose run has ended; those that are left."""
    left, ended, again = [], [], False
    for trial in trials:
        if trial.finished_at is None:
            left.append(trial)
        elif _again(row, study, trial):
            if row.paused or not may_queue(session, row):
                left.append(trial)
            else:
                _start_again(session, settings, row, study, trial)
                ended.append(trial)
                again = True
        else:
            _tell_end(session, row, study, trial)
            ended.append(trial)
    _count_use(session, settings, row, ended)
    if not again:
        return left
    rows.flush(session, row)
    return rows.open_trials(session, row.id)


def _start_again(session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy, trial: Any) -> None:
    number, tries = trial.number, trial.tries + 1
    start(session, settings, row, study, number, trial.params, origin="sampler", tries=tries, retry_of=trial.run_id)


def _again(row: CampaignRow, study: CampaignStudy, trial: Any) -> bool:
    failed = trial.run_state in {RunState.FAILED, RunState.QUARANTINED} and trial.state == TrialState.RUNNING
    wanted = not row.cancelled and row.stopping != "cancel"
    return failed and wanted and trial.tries <= study.spec.retries and trial.cause not in _HOPELESS


def _tell_end(session: Session, row: CampaignRow, study: CampaignStudy, trial: Any) -> None:
    row.ended += 1
    number = trial.number
    if trial.state == TrialState.PRUNING:  # the study knows
        _write(row, study, trial, TrialState.PRUNED, scores=last_reported(trial.reports))
    elif trial.run_state == RunState.SUCCEEDED:
        _tell_result(session, row, study, trial)
    else:
        study.tell(number, TrialState.FAILED)
        cancelled = trial.run_state == RunState.CANCELLED
        row.failures += int(not cancelled)
        state = TrialState.CANCELLED if cancelled else TrialState.FAILED
        error = ((trial.envelope or {}).get("error") or {}).get("message", "")
        _write(row, study, trial, state, error=error[:500])


def _tell_result(session: Session, row: CampaignRow, study: CampaignStudy, trial: Any) -> None:
    spec, number = study.spec, trial.number
    try:
        scores, violations = measured(spec.objectives, spec.constraints, trial.envelope.get("result") or {})
    except ValueError as error:
        study.tell(number, TrialState.FAILED)
        row.failures += 1
        _write(row, study, trial, TrialState.FAILED, error=str(error)[:500])
        return
    study.tell(number, TrialState.COMPLETE, scores, violations)
    row.failures = 0
    _write(row, study, trial, TrialState.COMPLETE, scores=scores, violations=violations)
    front = joined(spec.objectives, row.front, number, scores) if is_allowed(violations) else None
    if front is not None:
        row.front, row.improved_at = front, row.ended
        rows.news(session, row.id, "best", {"number": number, "values": scores, "params": trial.params})


def _write(row: CampaignRow, study: CampaignStudy, trial: Any, state: TrialState, **told: Any) -> None:
    attrs = study.trial_attrs(trial.number)
    rows.told(row, trial.number, state, attrs, ended=True, reports=trial.reports, **told)


def _count_use(session: Session, settings: Settings, row: CampaignRow, ended: list[Any]) -> None:
    pool = settings.pool(row.pool)
    if not ended or (row.budget.gpu_hours is None and row.budget.cost is None):
        return
    used_s = running_s(session, [trial.run_id for trial in ended])
    row.gpu_s += used_s if pool.resource_class == "gpu" else 0.0
    row.cost += used_s / 3600 * pool.price_per_hour

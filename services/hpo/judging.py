"""Judges running trials at their rungs: those not worth going on are told as pruned and their runs cancelled."""

import math
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from services.hpo import rows
from services.hpo.rows import CampaignRow
from services.hpo.samplers import next_rung
from services.hpo.study import CampaignStudy
from shared.campaigns.trials import last_reported
from shared.contracts.campaigns import TrialState
from shared.runs.cancel import request_cancel

#: A later attempt tells a step again: its word counts.
_REPORTS = text(
    """
    SELECT DISTINCT ON (trials.number, step) trials.number, step, value
    FROM trials JOIN run_metrics ON run_metrics.run_id = trials.run_id AND name = :metric AND step >= next_rung
    WHERE campaign_id = :id AND finished_at IS NULL AND trials.state = 'running' AND next_rung IS NOT NULL
    ORDER BY trials.number, step, run_metrics.attempt DESC
    """
)


def judge(session: Session, row: CampaignRow, study: CampaignStudy, trials: list[Any]) -> None:
    """Note what running trials reported at rungs, and prune; `trials` are brought up to date."""
    if study.spec.pruner.type == "none":
        return
    told: dict[int, dict[int, float]] = {}
    values = {"id": row.id, "metric": study.spec.objectives[0].reported_as}
    for report in session.execute(_REPORTS, values):
        told.setdefault(report.number, {})[report.step] = report.value
    for index, trial in enumerate(trials):
        if trial.number in told and trial.state == TrialState.RUNNING:
            trials[index] = _judge_one(session, row, study, trial, told[trial.number])


def _judge_one(session: Session, row: CampaignRow, study: CampaignStudy, trial: Any, told: dict[int, float]) -> Any:
    reports = dict(trial.reports)
    rung, pruned = trial.next_rung, False
    while rung is not None and rung <= max(told) and not pruned:
        # a body that reports every few steps only is judged at the first one after the rung
        step = min(step for step in told if step >= rung)
        pruned = study.report(trial.number, step, told[step])
        if math.isfinite(told[step]):
            reports[str(step)] = told[step]
        rung = next_rung(study.spec.pruner, step)
    state, scores = TrialState.RUNNING, None
    if pruned:
        study.tell(trial.number, TrialState.PRUNED)
        state, rung, scores = TrialState.PRUNING, None, last_reported(reports)
        request_cancel(session, trial.run_id)
    attrs = study.trial_attrs(trial.number)
    rows.told(row, trial.number, state, attrs, ended=False, scores=scores, reports=reports, next_rung=rung)
    return rows.changed(trial, state=state, reports=reports)

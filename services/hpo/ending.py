"""The end of a campaign: the best model is named and scored once on the test side, and the parent run returns."""

from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.hpo.rows import CampaignRow
from services.hpo.study import CampaignStudy
from shared.campaigns.read import best_trials, count
from shared.campaigns.trials import better, winner
from shared.contracts.campaigns import CAMPAIGN, CampaignResult, TestScore
from shared.contracts.causes import Cause
from shared.contracts.envelope import Envelope, ErrorInfo
from shared.contracts.kinds import kind_named
from shared.contracts.results import EvaluationResult
from shared.contracts.specs import EvaluationSpec
from shared.contracts.states import RunState
from shared.contracts.views import Progress
from shared.errors import QuotaExceeded, UserError
from shared.runs import parents, sync
from shared.runs.errors import cancelled, named_cause
from shared.runs.submit import Request, submit
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_EVALUATE = "model.evaluate"
_NAME_WINNER = text(
    "UPDATE models SET run_id = :winner WHERE project_id = :project AND run_id = ANY(:ours) RETURNING id"
)
_MODEL = text("SELECT id FROM models WHERE project_id = :project AND run_id = :winner AND name = :name")
_RUN = text("SELECT state, spec, envelope, finished_at FROM runs WHERE id = :id")
_CARRIED = text(
    "SELECT number, scores FROM trials WHERE campaign_id = :id AND origin = 'carried' AND scores IS NOT NULL "
    "AND NOT coalesce(0 < ANY(violations), false)"
)
_OWN = text(
    "SELECT scores FROM trials WHERE campaign_id = :id AND origin <> 'carried' AND state = 'complete' "
    "AND NOT coalesce(0 < ANY(violations), false) ORDER BY finished_at, number"
)


def conclude(session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy) -> bool:
    """Nothing runs any more: name the winner and have it scored, or end. Returns whether the campaign has ended."""
    if row.cancelled:
        _end(session, row, RunState.CANCELLED, None, cancelled())
        return True
    best = winner(study.spec.objectives, row.front)
    if best is None:
        _end(session, row, RunState.FAILED, None, _nothing_found(row))
        return True
    if row.winner_run_id is None and not _name_winner(session, settings, row, study, best):
        return False
    score = session.execute(_RUN, {"id": row.score_run_id}).one() if row.score_run_id else None
    if score is not None and score.finished_at is None:
        return False
    _end(session, row, RunState.SUCCEEDED, _result(session, row, study, best, score), None)
    return True


def _name_winner(
    session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy, best: tuple[int, list[float]]
) -> bool:
    """Name the winner and have it scored, if that can be. False: the project may queue nothing for now."""
    (found,) = best_trials(session, row.id, [[best[0], best[1]]])
    row.winner_run_id = found.run_id
    try:
        with session.begin_nested():
            row.score_run_id = _score(session, settings, row, study)
    except QuotaExceeded:
        row.winner_run_id, row.queue_full = None, True
        return False
    except UserError as error:
        _log.warning("the winner is not scored", campaign=row.name, why=error.message)
    row.changed = True
    return True


def _score(session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy) -> UUID | None:
    """Name the winner after the campaign and submit its only look at the test side."""
    if kind_named(study.spec.kind).makes != "model" or not study.spec.score_winner:
        return None
    values = {"winner": row.winner_run_id, "project": row.caller.project_id, "ours": [row.id]}
    model_id = session.execute(_NAME_WINNER, values).scalar()
    if model_id is None:  # somebody deleted the name
        return None
    spec = EvaluationSpec(model_ids=[model_id], seed=study.spec.seed)
    labels = row.labels | {"campaign": row.name}
    request = Request(_EVALUATE, spec, priority=row.priority, labels=labels, parent_id=row.id)
    return submit(session, settings, row.caller, request)


def _result(
    session: Session, row: CampaignRow, study: CampaignStudy, best: tuple[int, list[float]], score: Any
) -> CampaignResult:
    front = best_trials(session, row.id, row.front)
    (chosen,) = (trial for trial in front if trial.number == best[0])
    names = {"project": row.caller.project_id, "winner": row.winner_run_id, "name": row.name}
    test = None
    if score is not None and score.state == RunState.SUCCEEDED:
        told = EvaluationResult.model_validate(score.envelope["result"])
        test = TestScore(
            run_id=row.score_run_id or row.id,
            accuracy=told.record.accuracy,
            macro_f1=told.record.macro_f1,
            records=told.record.count,
            badge=told.split.badge,
        )
    carried_best, until = _gain(session, row, study)
    return CampaignResult(
        trials=count(session, [row.id])[row.id],
        reason=row.reason or "",
        best=chosen,
        front=front if len(study.spec.objectives) > 1 else [],
        spec=session.execute(_RUN, {"id": chosen.run_id}).one().spec,
        model_id=session.execute(_MODEL, names).scalar(),
        test=test,
        carried_best=carried_best,
        trials_to_carried_best=until,
    )


def _gain(session: Session, row: CampaignRow, study: CampaignStudy) -> tuple[list[float] | None, int | None]:
    """The best of what was carried over, and after how many own trials it was reached."""
    objectives = study.spec.objectives
    carried = [[trial.number, list(trial.scores)] for trial in session.execute(_CARRIED, {"id": row.id})]
    if not carried or len(objectives) > 1:
        return None, None
    mark = (winner(objectives, carried) or (0, [0.0]))[1]
    own = enumerate(session.execute(_OWN, {"id": row.id}).scalars(), 1)
    return mark, next((index for index, scores in own if not better(objectives, mark, scores)), None)


def _nothing_found(row: CampaignRow) -> ErrorInfo:
    return named_cause(
        "NoTrialSucceeded",
        f"No trial of {row.name!r} ended well within its limits: {row.reason}.",
        f"Look at what went wrong (`faultline campaigns trials {row.name}`), mend the base or the space, and fork it.",
        Cause.CHILDREN,
    )


def _end(
    session: Session, row: CampaignRow, to: RunState, result: CampaignResult | None, error: ErrorInfo | None
) -> None:
    envelope = Envelope(
        success=error is None,
        run_id=row.id,
        attempt=row.attempt,
        task_id=f"{row.id}:{row.attempt}",
        kind=CAMPAIGN,
        duration_seconds=round(row.age_s, 3),
        result=result.model_dump(mode="json") if result is not None else None,
        error=error,
    )
    row.changed = True
    progress = Progress(fraction=1.0, stage="ended", current=row.ended, total=row.budget.trials)
    parents.tell_progress(session, row.id, progress, quiet_s=0.0)
    sync.finish(session, row.id, to, envelope, attempt=row.attempt, only_from=[RunState.WAITING])

"""`campaign.advance`: looks at the trials of one campaign and does what follows. Short; ten times more change nothing.

In order: tell what has ended, judge what came to a rung, see whether to go on, start trials, end. All of it is one
commit under the lock of the parent run, so that no trial is told twice and none is lost.
"""

from collections import OrderedDict
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.hpo import rows
from services.hpo.asking import top_up
from services.hpo.ending import conclude
from services.hpo.importance import ask_if_due
from services.hpo.judging import judge
from services.hpo.limits import all_asked, look_again_s, reason_to_end
from services.hpo.rows import CampaignRow
from services.hpo.study import CampaignStudy, OutOfStep
from services.hpo.telling import tell
from shared.contracts.campaigns import ADVANCE, CAMPAIGN, HOLDING, CampaignSpec, Sampler, TrialState
from shared.contracts.stored import read_as
from shared.contracts.views import Progress
from shared.db.session import transaction
from shared.queue import step_task
from shared.queue.runtime import Runtime
from shared.runs import parents
from shared.runs.cancel import request_cancel
from shared.settings import Settings

_log = structlog.get_logger(__name__)
_QUEUE_FULL_S = 5.0
_SAMPLER: TypeAdapter[Sampler] = TypeAdapter(Sampler)
#: the studies that this process has used last
_WARM: "OrderedDict[UUID, CampaignStudy]" = OrderedDict()
_MOST_WARM = 32
#: Trials shorter than this are queued ahead, so that a slot need not wait for the next one.
_SHORT_S = 5.0
_TYPICAL = text(
    "SELECT avg(extract(epoch FROM ended.finished_at - ended.started_at)) AS seconds, ("
    "SELECT coalesce(sum(slots), 0) FROM workers WHERE :pool = ANY(pools) AND NOT draining "
    "AND heartbeat_at > now() - make_interval(secs => :lease_s)) AS slots FROM ("
    "SELECT runs.started_at, runs.finished_at FROM trials JOIN runs ON runs.id = trials.run_id "
    "WHERE trials.campaign_id = :id AND trials.number > :after AND runs.finished_at IS NOT NULL LIMIT 16) AS ended"
)


@step_task(ADVANCE)
def advance_campaign(args: dict[str, Any], runtime: Runtime) -> None:
    """Advance one campaign. Whatever goes wrong, the study is read from the rows again."""
    campaign_id = UUID(args["run_id"])
    with ExitStack() as undo:
        undo.callback(_WARM.pop, campaign_id, None)
        with transaction(runtime.engine) as session:
            goes_on = advance(session, runtime.settings, campaign_id)
        if goes_on:
            undo.pop_all()


def advance(session: Session, settings: Settings, campaign_id: UUID) -> bool:
    """One step. Returns whether the campaign goes on."""
    row = rows.lock(session, campaign_id, settings.step_time_limit_s)
    if row is None:
        return False
    study = _study(session, row)
    before = row.reason
    open_trials = tell(session, settings, row, study, rows.open_trials(session, row.id))
    if not row.cancelled:
        judge(session, row, study, open_trials)
        row.reason = reason_to_end(session, settings, row, study, open_trials)
        row.changed |= row.reason != before
    holding = [trial for trial in open_trials if trial.state in HOLDING]
    waiting = [trial for trial in open_trials if trial.state == TrialState.ENQUEUED]
    ask_if_due(session, row, last=row.reason is not None and not holding)
    if row.cancelled or (row.reason is not None and not row.paused):
        _stop(session, row, study, holding, waiting)
        rows.flush(session, row)  # the end reads them
        if not holding and conclude(session, settings, row, study):
            rows.write(session, row, study.attrs, None)
            return False
    elif not row.paused:
        room = row.max_parallel + _ahead(session, settings, row) - len(holding)
        top_up(session, settings, row, study, waiting, room)
        row.reason = all_asked(row, waiting=bool(waiting))
    if row.changed or row.stale or row.queue_full:
        look_s = _QUEUE_FULL_S if row.queue_full else look_again_s(row)
        rows.write(session, row, study.attrs, look_s)
        _tell_progress(session, row)
    study.is_at(row.revision + int(row.changed))
    return True


def _study(session: Session, row: CampaignRow) -> CampaignStudy:
    """The study of this campaign, brought to what the rows say."""
    study = _WARM.get(row.id)
    if study is not None:
        try:
            study.catch_up(session, row.id, row.revision, row.study_attrs)
        except OutOfStep:
            _log.info("the study is read anew", campaign=row.name)
            study = None
    if study is None:
        spec = read_as(CampaignSpec, row.spec_version, row.spec, CAMPAIGN)
        study = CampaignStudy(spec, _SAMPLER.validate_python(row.used))
        study.catch_up(session, row.id, row.revision, row.study_attrs)
    _WARM[row.id] = study
    _WARM.move_to_end(row.id)
    while len(_WARM) > _MOST_WARM:
        _WARM.popitem(last=False)
    return study


def _ahead(session: Session, settings: Settings, row: CampaignRow) -> int:
    """How many short trials are queued beyond `max_parallel`: only where the pool has no more slots than that."""
    if row.ended == 0:
        return 0
    after = row.asked - 2 * row.max_parallel - 16
    values = {"id": row.id, "after": after, "pool": row.pool, "lease_s": settings.lease_s}
    typical = session.execute(_TYPICAL, values).one()
    if typical.seconds is None or typical.seconds > _SHORT_S:
        return 0
    return min(8, row.max_parallel) if 0 < typical.slots <= row.max_parallel else 0


def _stop(session: Session, row: CampaignRow, study: CampaignStudy, holding: list[Any], waiting: list[Any]) -> None:
    """Nothing more is started; what runs is cancelled where that is wanted."""
    for trial in waiting:
        rows.told(row, trial.number, TrialState.CANCELLED, {}, ended=True, error="the campaign ended before")
    if waiting:
        row.ended += len(waiting)
    cancel = row.cancelled or row.stopping == "cancel" or (row.stopping is None and study.spec.when_spent == "cancel")
    for trial in holding if cancel else ():
        if trial.cancel_requested_at is None:
            request_cancel(session, trial.run_id, tell_parent=True)


def _tell_progress(session: Session, row: CampaignRow) -> None:
    shares = [row.ended / row.budget.trials] if row.budget.trials else []
    shares += [row.active_s / row.budget.wall_s] if row.budget.wall_s else []
    stage = "scoring" if row.score_run_id else "paused" if row.paused else "trials"
    progress = Progress(
        fraction=min(1.0, max(shares, default=0.0)), stage=stage, current=row.ended, total=row.budget.trials
    )
    parents.tell_progress(session, row.id, progress, quiet_s=1.0)

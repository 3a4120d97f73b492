"""Starts trials: asks the study for points and submits a run for each, as far as there is room."""

import time
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.hpo import rows
from services.hpo.rows import CampaignRow
from services.hpo.samplers import next_rung
from services.hpo.study import CampaignStudy
from shared.campaigns.trials import trial_spec
from shared.contracts.campaigns import ADVANCE, TrialState
from shared.contracts.space import Point
from shared.errors import UserError
from shared.runs import outbox
from shared.runs.quotas import queue_room
from shared.runs.submit import Request, prepare
from shared.settings import Settings

#: A step asks no longer than this, for people who steer wait for its lock: the next one goes on.
_LONGEST_S = 5.0


def top_up(
    session: Session, settings: Settings, row: CampaignRow, study: CampaignStudy, waiting: list[Any], room: int
) -> None:
    """Start up to `room` trials: first the points that people asked for, then new ones within the budget of trials.

    A point that is no spec of the kind is a failed trial; of those there may be as many as there is room, per step.
    """
    until_s = time.monotonic() + _LONGEST_S
    for _ in range(room):
        if time.monotonic() > until_s:
            outbox.put(session, ADVANCE, {"run_id": str(row.id)})
            return
        spent = row.budget.trials is not None and row.own >= row.budget.trials
        if (spent and not waiting) or not may_queue(session, row):
            return
        fixed = None
        if waiting:
            waiting.pop(0)
        elif row.used["type"] == "grid":
            fixed = _grid_point(row, study)
        number, point = study.ask(fixed)
        start(session, settings, row, study, number, point, origin="sampler")


def may_queue(session: Session, row: CampaignRow) -> bool:
    """Whether the project may queue one more run; it is asked once per step."""
    if row.room is None:
        row.room = queue_room(session, row.caller.project_id)
    row.queue_full = row.room < 1
    return not row.queue_full


def _grid_point(row: CampaignRow, study: CampaignStudy) -> Point:
    return study.grid_order(row.budget.trials or 0)[row.own]


def start(
    session: Session,
    settings: Settings,
    row: CampaignRow,
    study: CampaignStudy,
    number: int,
    point: Point,
    *,
    origin: str,
    tries: int = 1,
    retry_of: UUID | None = None,
) -> None:
    """Note a trial and its run, or why there can be none. `may_queue` has said that the run may be queued."""
    try:
        request = Request(
            study.spec.kind,
            trial_spec(study.spec, number, point),
            pool=row.pool,
            priority=row.priority,
            labels=row.labels | {"campaign": row.name, "trial": str(number)},
            parent_id=row.id,
            retry_of=retry_of,
            named=False,
        )
        run = prepare(session, settings, row.caller, request)
    except UserError as error:
        study.tell(number, TrialState.FAILED)
        words = f"{error.message} {error.remedy or ''}".strip()
        row.ended += 1
        row.failures += 1
        attrs = study.trial_attrs(number)
        rows.started(row, number, TrialState.FAILED, origin, point, attrs, tries=tries, error=words)
        return
    row.room = (row.room or 0) - 1
    attrs, rung = study.trial_attrs(number), next_rung(study.spec.pruner, 0)
    rows.started(row, number, TrialState.RUNNING, origin, point, attrs, next_rung=rung, run=run, tries=tries)

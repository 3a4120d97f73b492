"""Campaigns and trials as the API shows them, from our own rows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from shared.campaigns.control import spec_of
from shared.campaigns.trials import is_allowed, winner
from shared.contracts.campaigns import (
    BestTrial,
    Budget,
    CampaignView,
    TrialCounts,
    TrialState,
    TrialView,
)
from shared.contracts.views import Progress, SubmitRequest
from shared.db.models import Campaign, Run
from shared.errors import NotFound

_COUNTS = text(
    "SELECT campaign_id, origin = 'carried' AS carried, state, count(*) AS trials FROM trials "
    "WHERE campaign_id = ANY(:ids) GROUP BY 1, 2, 3"
)
_COLUMNS = """trials.number, trials.state, trials.origin, trials.params, trials.scores, trials.violations,
    trials.reports, trials.run_id, trials.tries, trials.error, trials.created_at, trials.finished_at, trials.revision"""
_PAGE = text(
    f"""
    SELECT {_COLUMNS} FROM trials
    WHERE campaign_id = :id AND (CAST(:after AS integer) IS NULL OR number > :after)
        AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
    ORDER BY number LIMIT :limit
    """  # noqa: S608 - constants
)
_CHANGED = text(
    f"""
    SELECT {_COLUMNS} FROM trials
    WHERE campaign_id = :id AND (revision, number) > (:revision, :number)
        AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
    ORDER BY revision, number LIMIT :limit
    """  # noqa: S608 - constants
)
_NAMED = text(f"SELECT {_COLUMNS} FROM trials WHERE campaign_id = :id AND number = ANY(:numbers)")  # noqa: S608


def count(session: Session, campaign_ids: Sequence[UUID]) -> dict[UUID, TrialCounts]:
    """How the trials of each campaign stand."""
    found: dict[UUID, dict[str, int]] = {campaign: {} for campaign in campaign_ids}
    for row in session.execute(_COUNTS, {"ids": list(campaign_ids)}):
        own = found[row.campaign_id]
        state = "running" if row.state == TrialState.PRUNING else row.state
        for name in ("carried",) if row.carried else (state, "total"):
            own[name] = own.get(name, 0) + row.trials
    return {campaign: TrialCounts(**own) for campaign, own in found.items()}


def trial_view(row: Row[Any]) -> TrialView:
    """One trial from the columns above."""
    return TrialView(
        number=row.number,
        state=row.state,
        origin=row.origin,
        params=row.params,
        values=row.scores,
        reports={int(step): value for step, value in row.reports.items()},
        allowed=None if row.violations is None else is_allowed(row.violations),
        run_id=row.run_id,
        tries=row.tries,
        error=row.error,
        started_at=row.created_at,
        finished_at=row.finished_at,
        revision=row.revision,
    )


def trials(
    session: Session, campaign_id: UUID, *, after: int | None, states: Sequence[str] | None, limit: int
) -> list[TrialView]:
    """Trials by number, those after `after`."""
    values = {"id": campaign_id, "after": after, "states": list(states) if states else None, "limit": limit}
    return [trial_view(row) for row in session.execute(_PAGE, values)]


def changed_trials(
    session: Session, campaign_id: UUID, after: tuple[int, int], *, states: Sequence[str] | None, limit: int
) -> list[TrialView]:
    """Trials in the order of their changes, those behind a revision of the campaign and a number of a trial."""
    values = {"id": campaign_id, "revision": after[0], "number": after[1], "limit": limit}
    rows = session.execute(_CHANGED, values | {"states": list(states) if states else None})
    return [trial_view(row) for row in rows]


def best_trials(session: Session, campaign_id: UUID, front: Sequence[list[Any]]) -> list[BestTrial]:
    """The trials of a front, by number."""
    numbers = [number for number, _scores in front]
    rows = session.execute(_NAMED, {"id": campaign_id, "numbers": numbers}).all()
    named = {row.number: row for row in rows}
    return [BestTrial(number=n, values=scores, params=named[n].params, run_id=named[n].run_id) for n, scores in front]


def best_request(session: Session, campaign: Campaign, run: Run) -> SubmitRequest:
    """The best trial as it can be asked for again. Raises `NotFound` while no allowed trial has ended."""
    best = winner(spec_of(run).objectives, campaign.front)
    if best is None:
        words = f"Campaign {campaign.name!r} has no best trial yet."
        raise NotFound(words, remedy="Wait for the end of the first one that keeps to every limit.")
    [trial] = best_trials(session, campaign.id, [list(best)])
    made_by = session.get_one(Run, trial.run_id)
    return SubmitRequest(kind=made_by.kind, spec=made_by.spec, pool=campaign.pool, labels=run.labels)


def views(session: Session, found: Sequence[tuple[Campaign, Run]]) -> list[CampaignView]:
    """Campaigns with their parent runs, as they are shown."""
    counts = count(session, [campaign.id for campaign, _run in found])
    return [_view(session, campaign, run, counts[campaign.id]) for campaign, run in found]


def _view(session: Session, campaign: Campaign, run: Run, counts: TrialCounts) -> CampaignView:
    spec = spec_of(run)
    front = best_trials(session, campaign.id, campaign.front)
    best = winner(spec.objectives, campaign.front)
    return CampaignView.model_validate(
        {
            "id": campaign.id,
            "name": campaign.name,
            "state": run.state,
            "paused": run.pause_requested_at is not None,
            "stopping": campaign.stopping,
            "spec": spec,
            "sampler": campaign.sampler["type"],
            "pool": campaign.pool,
            "max_parallel": campaign.max_parallel,
            "budget": Budget(**campaign.budget),
            "used": {
                "active_s": campaign.active_s,
                "active_since": None if run.finished_at else campaign.active_since,
                "gpu_hours": campaign.gpu_s / 3600,
                "cost": campaign.cost,
            },
            "counts": counts,
            "best": next((trial for trial in front if best is not None and trial.number == best[0]), None),
            "front": front if len(spec.objectives) > 1 else [],
            "progress": Progress(
                fraction=run.fraction, stage=run.stage, current=run.stage_current, total=run.stage_total
            ),
            "reason": campaign.reason,
            "created_at": campaign.created_at,
            "finished_at": run.finished_at,
            "revision": campaign.revision,
        }
    )

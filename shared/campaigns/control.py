"""What people ask of a campaign that goes on. Each takes the lock of its parent run, as the coordinator does, and
leaves the rest to the next step. Pause, resume and cancel are those of the parent run.
"""

from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.campaigns.submit import submit_campaign
from shared.contracts.campaigns import (
    Budget,
    CampaignChange,
    CampaignRequest,
    CampaignSpec,
    ForkRequest,
    StopRequest,
    TrialState,
)
from shared.contracts.kinds import kind_named
from shared.contracts.space import check_point, flat
from shared.contracts.states import TERMINAL
from shared.contracts.stored import read_as
from shared.db.models import Campaign, Run
from shared.errors import Conflict, NotFound, UserError
from shared.runs import parents
from shared.runs.submit import Caller
from shared.settings import Settings

_ENQUEUE = text(
    """
    WITH campaign AS (
        UPDATE campaigns SET asked = asked + 1, revision = revision + 1 WHERE id = :id RETURNING id, asked, revision
    )
    INSERT INTO trials (campaign_id, number, state, origin, params, revision)
    SELECT id, asked - 1, :state, 'person', CAST(:params AS jsonb), revision FROM campaign RETURNING number
    """
)


def find(session: Session, project_id: UUID, ref: str) -> Campaign:
    """By id or name. Raises `NotFound`."""
    try:
        one = Campaign.id == UUID(ref)
    except ValueError:
        one = Campaign.name == ref
    found = session.scalars(select(Campaign).where(Campaign.project_id == project_id, one)).one_or_none()
    if found is None:
        raise NotFound(f"There is no campaign {ref[:80]!r} in this project.", remedy="`GET /v1/campaigns` lists them.")
    return found


def spec_of(run: Run) -> CampaignSpec:
    """What the parent run was asked to do."""
    return read_as(CampaignSpec, run.spec_version, run.spec, run.kind)


def _open(session: Session, campaign: Campaign) -> Run:
    """The parent run, locked; the row as it is under that lock. Raises `Conflict` for one that ends or has ended."""
    run = session.get_one(Run, campaign.id, with_for_update=True, populate_existing=True)
    session.refresh(campaign)
    if run.state in TERMINAL or run.cancel_requested_at is not None or campaign.winner_run_id is not None:
        raise Conflict(
            f"Campaign {campaign.name!r} has ended ({campaign.reason or run.state}).",
            remedy="Fork it: the new campaign knows all its trials.",
        )
    return run


def change(session: Session, settings: Settings, campaign: Campaign, wanted: CampaignChange) -> None:
    """Set `max_parallel`, extend or cut the budget; a campaign whose budget was used up goes on if there is more now.

    Raises `Conflict` for one that has ended, `UserError` for a budget that its pool does not count."""
    run = _open(session, campaign)
    if wanted.max_parallel is not None:
        campaign.max_parallel = wanted.max_parallel
    if wanted.budget is not None:
        budget = campaign.budget | wanted.budget.model_dump(exclude_unset=True)
        _check_budget(settings, campaign, spec_of(run), Budget(**budget))
        campaign.budget = budget
        if campaign.stopping is None:
            campaign.reason = None
    campaign.revision += 1
    session.flush()
    parents.wake(session, run)


def _check_budget(settings: Settings, campaign: Campaign, spec: CampaignSpec, budget: Budget) -> None:
    if not any(budget.model_dump().values()):
        raise UserError("budget: nothing would end the campaign.", remedy="Leave one of its limits set.")
    pool = settings.pool(campaign.pool)
    if budget.gpu_hours is not None and pool.resource_class != "gpu":
        raise UserError(f"budget.gpu_hours: pool {pool.name!r} has no GPUs.", remedy="Name another budget.")
    if budget.cost is not None and pool.price_per_hour == 0:
        raise UserError(f"budget.cost: pool {pool.name!r} costs nothing.", remedy="Name another budget.")
    if spec.sampler.type == "grid" and (budget.trials or 0) > (spec.budget.trials or 0):
        raise UserError(
            f"budget.trials: the grid has {spec.budget.trials} points and no more.",
            remedy="Fork the campaign with a finer grid or another sampler.",
        )


def stop(session: Session, campaign: Campaign, wanted: StopRequest) -> None:
    """Ask nothing more, and end with the best so far; what runs is finished or cancelled. Raises `Conflict`."""
    run = _open(session, campaign)
    campaign.stopping = wanted.running
    campaign.revision += 1
    session.flush()
    parents.wake(session, run)


def enqueue(session: Session, campaign: Campaign, params: dict[str, Any]) -> int:
    """Have a point tried next, and return the trial's number; what it leaves open is sampled.

    Raises `UserError` for a point outside of the space, `Conflict` where the budget of trials is used up."""
    run = _open(session, campaign)
    spec = spec_of(run)
    if spec.sampler.type == "grid":
        raise UserError("A grid tries every point by itself.", remedy="Fork the campaign with another sampler.")
    check_point(flat(spec.space), params)
    trials = campaign.budget.get("trials")
    if campaign.reason is not None or (trials is not None and campaign.asked - campaign.carried >= trials):
        raise Conflict(
            f"Campaign {campaign.name!r} has no trial left in its budget.", remedy="Extend it first, by one trial."
        )
    values = {"id": campaign.id, "state": TrialState.ENQUEUED, "params": orjson.dumps(params).decode()}
    number: int = session.execute(_ENQUEUE, values).scalar_one()
    parents.wake(session, run)
    return number


def fork(
    session: Session, settings: Settings, caller: Caller, campaign: Campaign, wanted: ForkRequest, key: str | None
) -> UUID:
    """Begin a campaign like this one, with some fields replaced, that knows this one's trials. Returns its id."""
    run = session.get_one(Run, campaign.id)
    unknown = sorted(set(wanted.changes) - set(CampaignSpec.model_fields) | (set(wanted.changes) & {"name"}))
    if unknown:
        raise UserError(f"changes.{unknown[0]}: it cannot be replaced.", remedy="Name fields of the campaign's spec.")
    before = spec_of(run).model_dump(mode="json") | {"budget": campaign.budget, "max_parallel": campaign.max_parallel}
    earlier = [*before["warm_start"], str(campaign.id)]
    try:
        spec = CampaignSpec.model_validate({**before, "warm_start": earlier, **wanted.changes, "name": wanted.name})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise UserError(f"changes.{place}: {words}.", remedy="Correct this field and fork again.") from error
    kind_named(spec.kind)
    request = CampaignRequest(spec=spec, pool=campaign.pool, priority=run.priority, labels=run.labels)
    return submit_campaign(session, settings, caller, request, key)

"""Campaigns: searches over the fields of a spec, and what people ask of one that goes on."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.audit import audit
from services.api.deps import After, EditorDep, IdempotencyKey, Limit, Parts, PartsDep, SessionDep, ViewerDep
from services.api.etags import IfMatchDep, tag_of_view
from services.api.idempotent import OnceDep, digest_of
from services.api.search import Cursor
from services.api.trials import BEYOND, as_csv, page_of_trials, read_cursor
from services.api.views import page_of
from shared.campaigns import control, read
from shared.campaigns.submit import submit_campaign
from shared.contracts.campaigns import (
    CampaignChange,
    CampaignRequest,
    CampaignView,
    EnqueueRequest,
    ForkRequest,
    StopRequest,
    TrialState,
    TrialView,
)
from shared.contracts.views import Page, SubmitRequest
from shared.db.models import Campaign, Run
from shared.db.session import transaction
from shared.runs import idempotency
from shared.runs.pause import request_pause, resume

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
#: The rest changes by itself, with every trial.
_BY_PEOPLE = frozenset({"id", "max_parallel", "budget"})
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "A line for each trial, by number.", "content": {"text/csv": {}}}
}


def _view(session: Session, campaign: Campaign) -> CampaignView:
    return read.views(session, [(campaign, session.get_one(Run, campaign.id))])[0]


def _tag(view: CampaignView) -> str:
    return tag_of_view(view, _BY_PEOPLE)


def _begun(parts: Parts, response: Response, campaign_id: UUID) -> CampaignView:
    """The answer for a campaign that was asked for; in eager mode it has ended."""
    parts.after_submit()
    response.headers["Location"] = f"/v1/campaigns/{campaign_id}"
    return _now(parts, campaign_id)


def _now(parts: Parts, campaign_id: UUID) -> CampaignView:
    """As it is after the commit."""
    with transaction(parts.engine) as session:
        return _view(session, session.get_one(Campaign, campaign_id))


@router.get("")
def list_campaigns(
    session: SessionDep, identity: ViewerDep, cursor: After = None, limit: Limit = 50
) -> Page[CampaignView]:
    """Newest first."""
    query = select(Campaign, Run).join(Run, Run.id == Campaign.id).where(Campaign.project_id == identity.project_id)
    query = (query.where(Campaign.id < cursor) if cursor else query).order_by(Campaign.id.desc())
    found = [(campaign, run) for campaign, run in session.execute(query.limit(limit + 1))]
    return page_of([campaign for campaign, _run in found], read.views(session, found[:limit]), limit)


@router.post("", status_code=202)
def create_campaign(
    body: CampaignRequest, parts: PartsDep, identity: EditorDep, response: Response, key: IdempotencyKey = None
) -> CampaignView:
    """Begin a search: many runs of one kind, each at another point of the space, until the budget is used up."""
    with transaction(parts.engine) as session:
        campaign_id = submit_campaign(session, parts.settings, identity, body, key)
        audit(session, identity, "campaign.submit", campaign_id, name=body.spec.name, kind=body.spec.kind)
    return _begun(parts, response, campaign_id)


@router.get("/{campaign}")
def show_campaign(campaign: str, session: SessionDep, identity: ViewerDep, response: Response) -> CampaignView:
    """One campaign, by id or name. Its `ETag` changes when somebody changes the campaign, not with its trials."""
    view = _view(session, control.find(session, identity.project_id, campaign))
    response.headers["ETag"] = _tag(view)
    return view


@router.patch("/{campaign}")
def change_campaign(
    campaign: str, body: CampaignChange, parts: PartsDep, identity: EditorDep, seen: IfMatchDep
) -> CampaignView:
    """Set how many trials run at once; extend or cut the budget. One whose budget was used up goes on if it has not
    ended."""
    with transaction(parts.engine) as session:
        found = control.find(session, identity.project_id, campaign)
        session.get_one(Run, found.id, with_for_update=True)
        session.refresh(found)
        seen.against(_tag(_view(session, found)))
        control.change(session, parts.settings, found, body)
        audit(session, identity, "campaign.change", found.id, **body.model_dump(exclude_unset=True))
    parts.after_submit()
    return _now(parts, found.id)


@router.post("/{campaign}/stop", status_code=202)
def stop_campaign(
    campaign: str, parts: PartsDep, identity: EditorDep, once: OnceDep, body: StopRequest | None = None
) -> CampaignView:
    """Try nothing more, and end with the best so far. Trials that run are finished, or cancelled."""
    wanted = body or StopRequest()
    with transaction(parts.engine) as session:
        make = partial(_stopped, session, identity, campaign, wanted)
        view = once(session, identity, CampaignView, wanted, make=make)
    parts.after_submit()
    return view


def _stopped(session: Session, identity: Identity, campaign: str, wanted: StopRequest) -> CampaignView:
    found = control.find(session, identity.project_id, campaign)
    control.stop(session, found, wanted)
    audit(session, identity, "campaign.stop", found.id, running=wanted.running)
    return _view(session, found)


@router.post("/{campaign}/pause", status_code=202)
def pause_campaign(campaign: str, parts: PartsDep, identity: EditorDep) -> CampaignView:
    """Let it start nothing, and its trials rest without slots. The time of a pause does not count."""
    return _acted(parts, identity, campaign, "campaign.pause", request_pause)


@router.post("/{campaign}/resume", status_code=202)
def resume_campaign(campaign: str, parts: PartsDep, identity: EditorDep) -> CampaignView:
    """Let it and its trials go on."""
    return _acted(parts, identity, campaign, "campaign.resume", resume)


def _acted(
    parts: Parts, identity: Identity, campaign: str, action: str, act: Callable[[Session, UUID], None]
) -> CampaignView:
    with transaction(parts.engine) as session:
        found = control.find(session, identity.project_id, campaign)
        act(session, found.id)
        audit(session, identity, action, found.id)
    parts.after_submit()
    return _now(parts, found.id)


@router.post("/{campaign}/fork", status_code=202)
def fork_campaign(
    campaign: str,
    body: ForkRequest,
    parts: PartsDep,
    identity: EditorDep,
    response: Response,
    key: IdempotencyKey = None,
) -> CampaignView:
    """Begin a campaign like this one, with some fields of its spec replaced, that knows every trial of this one."""
    asked = digest_of("campaign.fork", campaign, body)  # not what it is like: its budget may change before a repeat
    with transaction(parts.engine) as session:
        new = idempotency.replayed(session, identity.project_id, key, asked) if key else None
        if new is None:
            found = control.find(session, identity.project_id, campaign)
            new = control.fork(session, parts.settings, identity, found, body, None)
            audit(session, identity, "campaign.fork", found.id, new=new, name=body.name)
            if key:
                idempotency.remember(session, identity.project_id, key, asked, new)
    return _begun(parts, response, new)


@router.post("/{campaign}/trials", status_code=201)
def enqueue_trial(
    campaign: str, body: EnqueueRequest, parts: PartsDep, identity: EditorDep, once: OnceDep
) -> TrialView:
    """Have a point tried next; what it leaves open is sampled. It counts in the budget of trials."""
    with transaction(parts.engine) as session:
        make = partial(_enqueued, session, identity, campaign, body)
        view = once(session, identity, TrialView, body, make=make)
    parts.after_submit()
    return view


def _enqueued(session: Session, identity: Identity, campaign: str, body: EnqueueRequest) -> TrialView:
    found = control.find(session, identity.project_id, campaign)
    number = control.enqueue(session, found, body.params)
    audit(session, identity, "campaign.enqueue", found.id, number=number, params=body.params)
    return read.trials(session, found.id, after=number - 1, states=None, limit=1)[0]


@router.get("/{campaign}/trials")
def list_trials(
    campaign: str,
    session: SessionDep,
    identity: ViewerDep,
    state: Annotated[list[TrialState] | None, Query(max_length=8, description="In one of these states.")] = None,
    changed_since: Annotated[
        int | None,
        Query(ge=0, le=2**62, description="Those that changed after this `revision`, in the order of their changes."),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[TrialView]:
    """Trials by number. With `changed_since`, which takes the largest `revision` seen so far: what is new."""
    found = control.find(session, identity.project_id, campaign)
    of = [str(found.id), sorted(state or []), changed_since is None]
    at = read_cursor(cursor, of)
    if changed_since is None:
        items = read.trials(session, found.id, after=at and at[1], states=state, limit=limit + 1)
    else:
        items = read.changed_trials(session, found.id, at or (changed_since, BEYOND), states=state, limit=limit + 1)
    return page_of_trials(items, of, limit)


@router.get("/{campaign}/best")
def best_trial(campaign: str, session: SessionDep, identity: ViewerDep) -> SubmitRequest:
    """The best trial as a request, whole: `POST /v1/runs` takes it as it is."""
    found = control.find(session, identity.project_id, campaign)
    return read.best_request(session, found, session.get_one(Run, found.id))


@router.get("/{campaign}/trials.csv", response_class=Response, responses=_CSV)
def export_trials(campaign: str, session: SessionDep, parts: PartsDep, identity: ViewerDep) -> Response:
    """All trials as a table: a column for each parameter and for each objective."""
    found = control.find(session, identity.project_id, campaign)
    spec = control.spec_of(session.get_one(Run, found.id))
    return as_csv(parts.engine, found.id, found.name, spec)

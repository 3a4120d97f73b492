"""What a campaign looks like, as data to be drawn."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.api.deps import SessionDep, ViewerDep
from shared.campaigns import pinning as _pinning  # noqa: F401 - what a report pins of a campaign
from shared.campaigns.control import find
from shared.campaigns.views import Wanted, look, looked_at
from shared.contracts.campaign_views import MOST_POINTS, CampaignPicture, ViewName

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"])
_Parameter = Annotated[str | None, Query(max_length=140, description="A parameter; default: by importance.")]


@router.get("/{campaign}/views/{view}")
def show_campaign_view(
    campaign: str,
    view: ViewName,
    session: SessionDep,
    identity: ViewerDep,
    objective: Annotated[int, Query(ge=0, le=3, description="Which objective, from 0.")] = 0,
    x: _Parameter = None,
    y: _Parameter = None,
    most: Annotated[int, Query(ge=10, le=MOST_POINTS, description="At most so many points.")] = MOST_POINTS,
) -> CampaignPicture:
    """One view of a campaign: `slice` takes `x`, `contour` takes `x` and `y`; both default to what matters most."""
    found = looked_at(session, find(session, identity.project_id, campaign).id)
    return look(session, found, view, Wanted(objective, x, y, most))

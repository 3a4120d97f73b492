"""`campaign.report`: what a report is made of, and what it returns."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.campaign_views import Aim, CampaignPicture, SliceView
from shared.contracts.campaigns import BestTrial, TestScore
from shared.contracts.refs import CampaignId
from shared.contracts.specs import Spec

REPORT = "campaign.report"


class ReportSpec(Spec):
    """`campaign.report`: a campaign as it stands when this is asked for, as a page, pictures and tables."""

    campaign_id: CampaignId


class ReportedTrial(View):
    """One trial as a row."""

    number: int
    state: str
    origin: str
    params: dict[str, Any]
    values: list[float] | None
    allowed: bool
    error: str | None
    run_id: UUID | None
    started_at: datetime
    finished_at: datetime | None


class ReportData(View):
    """All that a report shows; pinned when it is asked for."""

    id: UUID
    name: str
    kind: str
    state: str
    reason: str | None
    sampler: str
    pruner: str
    aims: list[Aim]
    at: datetime  #: when the report was asked for
    created_at: datetime
    finished_at: datetime | None
    counts: dict[str, int]  #: trials by state
    parameters: list[str]
    best: BestTrial | None
    best_spec: dict[str, Any] | None  #: whole, to be trained again as it is
    pool: str | None = None  #: where its trials run
    labels: dict[str, str] = Field(default_factory=dict)  #: of the campaign
    test: TestScore | None
    views: list[CampaignPicture]
    slices: list[SliceView]
    top: list[ReportedTrial]  #: by the first objective
    trials: list[ReportedTrial]
    trials_total: int


class ReportResult(View):
    """`campaign.report`."""

    campaign: str
    state: str
    trials: int
    best: list[float] | None
    files: list[str] = Field(default_factory=list)
    trials_left_out: int = 0  #: of `trials.csv`, where there are more than it holds

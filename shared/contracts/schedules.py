"""A run that is asked for again and again, by the clock of a time zone."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from shared.contracts.base import Contract, View
from shared.contracts.specs import Name
from shared.contracts.views import LabelKey, LabelValue

Overlap = Literal["skip", "allow"]


def _no_id(name: str) -> str:
    try:
        UUID(name)
    except ValueError:
        return name
    raise ValueError("must not look like an id")


ScheduleName = Annotated[Name, AfterValidator(_no_id)]
Cron = Annotated[str, Field(max_length=100)]
Zone = Annotated[str, Field(min_length=1, max_length=60)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=32)]


class ScheduleRequest(Contract):
    """What is to be submitted, and when."""

    name: ScheduleName
    cron: Cron  #: minute, hour, day of month, month, day of week
    timezone: Zone = "UTC"  #: of the tz database, e.g. Europe/Berlin
    overlap: Overlap = "skip"  #: when its last run has not ended
    enabled: bool = True
    kind: str = Field(max_length=60)
    spec: dict[str, Any]  #: `{time}` in its name becomes the run's in UTC: 20261124-0830; by hand 20261124-0830-3f9c1a
    pool: str | None = Field(None, max_length=60)
    priority: int = Field(0, ge=-100, le=100)
    labels: Labels = Field(default_factory=dict)


class ScheduleChange(Contract):
    """What is to be different; a field that is not sent stays."""

    name: ScheduleName | None = None
    cron: Cron | None = None
    timezone: Zone | None = None
    overlap: Overlap | None = None
    enabled: bool | None = None
    spec: dict[str, Any] | None = None
    pool: str | None = Field(None, max_length=60)  #: null: the kind's own
    priority: int | None = Field(None, ge=-100, le=100)
    labels: Labels | None = None


class ScheduleView(View):
    """One schedule."""

    id: UUID
    name: str
    cron: str
    timezone: str
    overlap: Overlap
    enabled: bool
    kind: str
    spec: dict[str, Any]
    pool: str | None
    priority: int
    labels: dict[str, str]
    created_by: UUID  #: on whose behalf it submits: who made it, changed it or enabled it last
    next_times: list[datetime]  #: the next five; none while it is not enabled
    last_at: datetime | None  #: the time that its last run was for
    last_error: str | None  #: why the last time made no run
    created_at: datetime
    updated_at: datetime

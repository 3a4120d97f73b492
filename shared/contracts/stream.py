"""What the stream over all runs of a project says, and what a server says of itself."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.views import EventView


class ProjectEventView(EventView):
    """One thing that happened to one of the project's runs."""

    cursor: str = Field(examples=["74231.5120"])  #: goes on behind this event
    kind: str = Field(examples=["model.train"])
    parent_id: UUID | None


class VersionView(View):
    """What a server runs."""

    version: str
    api: str = Field(examples=["v1"])
    database_revision: str | None = Field(examples=["0003"])

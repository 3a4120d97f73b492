"""Ids in a spec that point at something made earlier.

Marking a field with one of these types is all a kind does to receive an input: at submit the id is checked
against the project and pinned to files; the body opens them with `artifacts.input(id)`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

RefType = Literal["dataset", "model", "upload", "campaign"]


@dataclass(frozen=True)
class Ref:
    """Says what table an id of a spec points into."""

    type: RefType


DatasetId = Annotated[UUID, Ref("dataset")]
ModelId = Annotated[UUID, Ref("model")]
UploadId = Annotated[UUID, Ref("upload")]
CampaignId = Annotated[UUID, Ref("campaign")]

"""Uploads in parts and links to files: what is asked and what is answered."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, View

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class UploadSessionRequest(Contract):
    """A file that is going to be sent in parts."""

    file_name: str = Field(min_length=1, max_length=1000)
    size_bytes: int = Field(ge=1, le=1 << 50)
    sha256: Sha256  #: of the whole file


class UploadPartView(View):
    """One part: bytes `(number - 1) * part_bytes` and on of the file. What has not come is PUT to `url`."""

    number: int
    size_bytes: int
    received: bool
    url: str | None
    expires_at: datetime | None


class UploadSessionView(View):
    """A file that comes in parts. It becomes an upload of the same id when it is completed."""

    id: UUID
    file_name: str
    size_bytes: int
    sha256: str
    part_bytes: int
    expires_at: datetime
    parts: list[UploadPartView]


class LinkRequest(Contract):
    """A link to a file that works without a key."""

    expires_in_s: int = Field(3600, ge=1, le=86_400)


class LinkView(View):
    """Whoever has the URL may read the file until then."""

    url: str
    expires_at: datetime

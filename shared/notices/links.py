"""Links in messages that act by themselves: signed, for one act of one person, until a time.

That a link acts once is up to who follows it: the nonce is to be written down in the commit of the act.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from shared.signing import Signer

_PURPOSE = "link"


@dataclass(frozen=True)
class Link:
    """What whoever has the link may do, and in whose name."""

    action: str
    subject_id: UUID  #: what it is done to
    principal_id: UUID
    expires_at: datetime
    nonce: UUID = field(default_factory=uuid4)  #: tells it from another link for the same act


def make_link(signer: Signer, link: Link) -> str:
    """The link as a token that is safe in a URL."""
    statement = {
        "do": link.action,
        "to": str(link.subject_id),
        "by": str(link.principal_id),
        "nonce": str(link.nonce),
    }
    return signer.sign(_PURPOSE, statement, link.expires_at.timestamp())


def read_link(signer: Signer, token: str) -> Link | None:
    """The link that we made into this token; None if it was not us, or its time is over."""
    said = signer.read(_PURPOSE, token)
    if said is None:
        return None
    return Link(
        action=said["do"],
        subject_id=UUID(said["to"]),
        principal_id=UUID(said["by"]),
        expires_at=datetime.fromtimestamp(said["exp"], UTC),
        nonce=UUID(said["nonce"]),
    )

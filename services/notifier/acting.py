"""The links of a message that act by themselves: what a reader may want to do about this notice."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.notifier.message import Link
from shared.contracts.notices import NOTICES
from shared.notices import links
from shared.settings import Settings
from shared.signing import Signer

#: kind -> what may be done to its run, and what its button says
_ACTS = {
    "run.failed": (("retry", "Retry"),),
    "run.quarantined": (("retry", "Retry"),),
    "run.started": (("pause", "Pause"), ("cancel", "Cancel")),
    "run.progress": (("pause", "Pause"), ("cancel", "Cancel")),
    "run.paused": (("resume", "Resume"), ("cancel", "Cancel")),
}
PATH = "/v1/links/"


class Acting:
    """Makes links. Without a public URL or a key to sign with there are none."""

    def __init__(self, settings: Settings) -> None:
        self._base_url = settings.public_url.rstrip("/")
        self._signer = Signer(settings.secret_keys) if settings.secret_keys and self._base_url else None
        self._expires_s = settings.notify_link_expires_s

    def links(self, kind: str, run_id: UUID | None, notice_id: UUID, principal_id: UUID) -> list[Link]:
        """The buttons of a message."""
        made = []
        if run_id is not None:
            made += [Link(label, self._url(act, run_id, principal_id)) for act, label in _ACTS.get(kind, ())]
        if NOTICES[kind].urgent:
            made.append(Link("Acknowledge", self._url("acknowledge", notice_id, principal_id)))
        return [link for link in made if link.url]

    def unsubscribe(self, subscription_id: UUID | None, principal_id: UUID) -> str | None:
        """Where the subscription ends."""
        return self._url("unsubscribe", subscription_id, principal_id) or None if subscription_id else None

    def _url(self, action: str, subject_id: UUID, principal_id: UUID) -> str:
        if self._signer is None:
            return ""
        expires_at = datetime.now(UTC) + timedelta(seconds=self._expires_s)
        token = links.make_link(self._signer, links.Link(action, subject_id, principal_id, expires_at))
        return f"{self._base_url}{PATH}{token}"

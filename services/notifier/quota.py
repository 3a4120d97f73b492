"""Tells the people of a project when most of a quota is used: once a day for each."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

from sqlalchemy.orm import Session

from shared.contracts.notices import QuotaNotice
from shared.notices.announcing import announce
from shared.runs.quotas import used_quotas
from shared.settings import Settings

_NAMESPACE = UUID("c2c5b7a6-1d0c-4a8e-9a57-5e1f6f7c9f3d")


def announce_quotas(session: Session, settings: Settings) -> None:
    """Announce every quota of which at least `notify_quota_share` is used."""
    today = datetime.now(UTC).date().isoformat()
    for used in used_quotas(session, settings):
        if used.share >= settings.notify_quota_share:
            share = round(used.share, 4)
            data = QuotaNotice(project=used.project, quota=used.quota, used=used.used, limit=used.limit, share=share)
            once = uuid5(_NAMESPACE, f"{used.project_id} {used.quota} {today}")
            announce(session, "quota.near", data, project_id=used.project_id, notice_id=once)

"""Asks again for steps of campaigns that were lost, or that are due: the reconciler's part."""

from sqlalchemy import Engine, text

from shared.contracts.campaigns import ADVANCE
from shared.db.session import transaction
from shared.runs import outbox
from shared.settings import Settings

_DUE = text(
    """
    SELECT campaigns.id FROM campaigns WHERE look_at < now() - make_interval(secs => :patience_s)
    UNION
    SELECT campaigns.id FROM campaigns
        JOIN runs ON runs.id = campaigns.score_run_id
        JOIN runs AS parent ON parent.id = campaigns.id AND parent.finished_at IS NULL
    WHERE runs.finished_at < now() - make_interval(secs => :late_s)
    UNION
    SELECT trials.campaign_id FROM trials
        JOIN runs ON runs.id = trials.run_id
        JOIN runs AS parent ON parent.id = trials.campaign_id AND parent.finished_at IS NULL
    WHERE trials.finished_at IS NULL AND runs.finished_at < now() - make_interval(secs => :late_s)
    """
)
_ASKED = text(
    "SELECT 1 FROM outbox WHERE step = :step AND args->>'run_id' = CAST(:id AS text) "
    "AND (sent_at IS NULL OR created_at > now() - make_interval(secs => :late_s)) LIMIT 1"
)
_PATIENCE_S = 1.0


def sweep(engine: Engine, settings: Settings) -> int:
    """One pass over the campaigns whose time has come, or of which a trial ended a while ago and was not told. Returns
    how many steps are asked for."""
    asked = 0
    with transaction(engine) as session:
        due = session.execute(_DUE, {"patience_s": _PATIENCE_S, "late_s": settings.dispatch_timeout_s}).scalars().all()
        for campaign_id in due:
            values = {"step": ADVANCE, "id": campaign_id, "late_s": settings.dispatch_timeout_s}
            if session.execute(_ASKED, values).first() is None:
                outbox.put(session, ADVANCE, {"run_id": str(campaign_id)})
                asked += 1
    return asked

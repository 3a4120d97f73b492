"""What the trials of a campaign have used: seconds in the state `running`, by run."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from shared.db.session import Executes

_RUNNING_S = text(
    """
    WITH spans AS (
        SELECT run_id, data ->> 'state' AS state, at AS since,
            coalesce(lead(at) OVER (PARTITION BY run_id ORDER BY seq), now()) AS until
        FROM run_events WHERE run_id = ANY(:ids) AND type = 'state'
    )
    SELECT coalesce(sum(extract(epoch FROM until - since)), 0) AS seconds FROM spans WHERE state = 'running'
    """
)


def running_s(session: Executes, run_ids: Sequence[UUID]) -> float:
    """Seconds that these runs have held a slot, over all their attempts, until now."""
    if not run_ids:
        return 0.0
    return float(session.execute(_RUNNING_S, {"ids": list(run_ids)}).scalar())

"""A step that waited for its lock sees what the step before has written."""

import threading
from typing import Any

from sqlalchemy import text

from services.hpo import rows
from shared.db.session import transaction
from tests.hpo.support import Campaigns
from tests.support.platform import until

_WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%study_attrs%'"


def test_a_step_that_waited_for_its_lock_sees_what_was_written_meanwhile(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 3})
    engine, found = campaigns.platform.engine, list[Any]()

    def wait_and_read() -> None:
        with transaction(engine) as session:
            found.append(rows.lock(session, campaign_id, 60))

    other = threading.Thread(target=wait_and_read)
    with transaction(engine) as session:
        row = rows.lock(session, campaign_id, 60)
        assert row is not None
        other.start()
        until(lambda: campaigns.platform.rows(_WAITS), 10, "the other step does not wait")
        session.execute(text("UPDATE runs SET cancel_requested_at = now() WHERE id = :id"), {"id": campaign_id})
        row.asked, row.changed = 7, True
        rows.write(session, row, {}, None)
    other.join(10)
    (seen,) = found
    assert (seen.asked, seen.revision, seen.cancelled) == (7, row.revision + 1, True)

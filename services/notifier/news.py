"""Reads the events of all runs, each once, as soon as it is committed.

Numbers of transactions are given when they begin, so an early number may be committed late. What was open at a reading
is remembered and read when it has ended; nobody waits for it. A follower that starts anew begins at the oldest that
was open and meets some events again, which is harmless: a notice has its id from what it is about.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from shared.contracts.campaigns import CAMPAIGN
from shared.contracts.states import TERMINAL
from shared.db.session import Executes

#: Events of one reading.
PAGE = 1000
_LAST_ID = 2**63 - 1
_SELDOM_S = 10.0
_NAME = "notices"
_TAKE = text("SELECT CAST(xid AS text) AS xid, id FROM news_places WHERE name = :name FOR UPDATE SKIP LOCKED")
_BEGIN = text(
    "INSERT INTO news_places (name, xid, id) VALUES (:name, pg_snapshot_xmin(pg_current_snapshot()), 0) "
    "ON CONFLICT DO NOTHING"
)
_KEEP = text("UPDATE news_places SET xid = CAST(:xid AS xid8), id = :id WHERE name = :name")
_EDGE = text(
    "SELECT CAST(pg_snapshot_xmax(at) AS text) AS next, "
    "ARRAY(SELECT CAST(pg_snapshot_xip(at) AS text)) AS open FROM pg_current_snapshot() AS at"
)
_READ = text(
    """
    WITH late AS (
        SELECT * FROM run_events WHERE xid = ANY(CAST(:ended AS xid8[]))
    ), fresh AS MATERIALIZED (
        SELECT * FROM run_events
        WHERE (xid, id) > (CAST(:xid AS xid8), :id) AND xid < CAST(:next AS xid8) ORDER BY xid, id LIMIT :page
    ), found AS (
        SELECT *, true AS late FROM late UNION ALL SELECT *, false FROM fresh
    ), wanted AS MATERIALIZED (
        SELECT * FROM found
        WHERE type = ANY(:types) OR type = 'state' AND data ->> 'state' = ANY(:states)
            OR NOT late AND id = (SELECT id FROM fresh ORDER BY xid DESC, id DESC LIMIT 1)
    )
    SELECT CAST(e.xid AS text) AS xid, e.id, e.late, (SELECT count(*) FROM fresh) AS scanned, e.run_id, e.seq,
        e.attempt, e.type, e.at, e.data, r.project_id, p.name AS project, r.created_by, r.kind, r.labels, r.parent_id,
        parent.kind AS parent_kind, r.spec ->> 'name' AS name, r.spec #>> '{recipe,type}' AS model_type, r.traceparent,
        CASE WHEN e.type = 'state' AND e.data ->> 'state' = ANY(:terminal) THEN r.envelope END AS envelope,
        before.state AS before, c.name AS campaign, c.id AS campaign_id, c.ended AS trials, c.front,
        CASE WHEN parent.kind = :campaign_kind THEN parent.spec END AS campaign_spec,
        parent.spec_version AS campaign_spec_version
    FROM wanted e JOIN runs r ON r.id = e.run_id LEFT JOIN projects p ON p.id = r.project_id AND p.deleted_at IS NULL
    LEFT JOIN runs parent ON parent.id = r.parent_id
    LEFT JOIN campaigns c
        ON c.id = CASE WHEN r.kind = :campaign_kind THEN r.id WHEN parent.kind = :campaign_kind THEN parent.id END
    LEFT JOIN LATERAL (
        SELECT b.data ->> 'state' AS state FROM run_events b
        WHERE e.data ->> 'state' = 'queued' AND b.run_id = e.run_id AND b.seq < e.seq AND b.type = 'state'
        ORDER BY b.seq DESC LIMIT 1
    ) AS before ON true
    ORDER BY e.xid, e.id
    """
)


@dataclass
class News:
    """Where one follower stands."""

    xid: int = 0
    id: int = 0
    _open: set[int] = field(default_factory=set)  #: began before this place and had not ended
    _kept: tuple[int, int] | None = None  #: as it was last written
    _kept_s: float = 0.0
    _told: bool = False  #: something was read since then

    def take(self, session: Executes) -> bool:
        """Become the follower until the commit. False: another one is."""
        row = session.execute(_TAKE, {"name": _NAME}).first()
        if row is None:
            session.execute(_BEGIN, {"name": _NAME})
            row = session.execute(_TAKE, {"name": _NAME}).first()
        if row is None:
            return False
        if (int(row.xid), row.id) != self._kept:  # another one went on meanwhile, or this is the beginning
            self.xid, self.id, self._open = int(row.xid), row.id, set()
            self._kept = self.xid, self.id
        return True

    def read(self, session: Executes, states: Collection[str], types: Collection[str]) -> tuple[Sequence[Any], bool]:
        """Events of these states and types that were not read before, and whether more may be there at once."""
        edge = session.execute(_EDGE).one()
        open_now, next_ = {int(xid) for xid in edge.open}, int(edge.next)
        ended = self._open - open_now
        rows = session.execute(
            _READ,
            {
                "ended": [str(xid) for xid in ended],
                "xid": str(self.xid),
                "id": self.id,
                "next": str(next_),
                "page": PAGE,
                "types": list(types),
                "states": list(states),
                "terminal": list(TERMINAL),
                "campaign_kind": CAMPAIGN,
            },
        ).all()
        fresh = [row for row in rows if not row.late]
        full = bool(fresh) and fresh[-1].scanned >= PAGE
        if full:
            self.xid, self.id = int(fresh[-1].xid), fresh[-1].id
        else:
            self.xid, self.id = max((self.xid, self.id), (next_ - 1, _LAST_ID))
        self._open = {xid for xid in (self._open | open_now) - ended if xid <= self.xid}
        wanted = [
            row
            for row in rows
            if row.project is not None and (row.type in types or (row.type == "state" and row.data["state"] in states))
        ]
        self._told |= bool(wanted)
        return wanted, full

    def keep(self, session: Executes) -> None:
        """Write where a follower that starts anew must begin: before everything that was open.

        Seldom while there is nothing to tell: each write is a transaction, whose number is news of itself.
        """
        if not self._told and time.monotonic() < self._kept_s + _SELDOM_S:
            return
        place = (min(self._open) - 1, _LAST_ID) if self._open else (self.xid, self.id)
        if place != self._kept:
            session.execute(_KEEP, {"name": _NAME, "xid": str(place[0]), "id": place[1]})
            self._kept = place
        self._kept_s, self._told = time.monotonic(), False

"""Events of all runs in one order that is safe to follow while others commit.

The order is (transaction, event). A transaction gets its number when it begins to write, not when it commits, so what
is read ends below the oldest one that is still open: everything there is decided, nothing can come into it later. A
transaction that stays open keeps the later ones waiting; it loses none of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.stream import ProjectEventView
from shared.errors import UserError

#: Rows that one read walks over, of whatever project.
SCAN = 2000
_MAX_XID, _MAX_ID = 2**64 - 1, 2**63 - 1


class Place(NamedTuple):
    """Between two events: behind the one that it names."""

    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.xid}.{self.id}"


BEGINNING = Place(0, 0)


def parse_place(given: str) -> Place:
    """A place from `<transaction>.<event>`. Raises `UserError`."""
    xid, dot, id_ = given.partition(".")
    if dot and xid.isascii() and id_.isascii() and xid.isdecimal() and id_.isdecimal() and len(given) <= 40:
        place = Place(int(xid), int(id_))
        if place.xid <= _MAX_XID and place.id <= _MAX_ID:
            return place
    raise UserError(f"{given[:60]!r} is no place in the stream.", remedy="Send the id of an event, or none.")


@dataclass(frozen=True)
class NewsFilter:
    """Which events of a project; all that is given must hold."""

    kinds: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    parent: UUID | None = None
    labels: tuple[tuple[str, str], ...] = ()

    def lets_pass(self, row: Any) -> bool:
        """Whether a row of `read_news` is wanted."""
        return (
            (not self.kinds or row.kind in self.kinds)
            and (not self.types or row.type in self.types)
            and (self.parent is None or row.parent_id == self.parent)
            and all(row.labels.get(key) == value for key, value in self.labels)
        )


_READ = text(
    """
    WITH scanned AS MATERIALIZED (
        SELECT xid, id, run_id, seq, attempt, type, at, data FROM run_events
        WHERE (xid, id) > (CAST(:xid AS xid8), :id) AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, id LIMIT :scan
    )
    SELECT CAST(s.xid AS text) AS xid, s.id, s.run_id, s.seq, s.attempt, s.type, s.at, s.data,
        r.project_id, r.kind, r.parent_id, r.labels, (SELECT count(*) FROM scanned) AS scanned
    FROM scanned s LEFT JOIN runs r ON r.id = s.run_id AND r.project_id = ANY(CAST(:projects AS uuid[]))
    WHERE r.id IS NOT NULL OR s.id = (SELECT id FROM scanned ORDER BY xid DESC, id DESC LIMIT 1)
    ORDER BY s.xid, s.id
    """
)
_EDGE = text(
    "SELECT CAST(pg_snapshot_xmin(at) AS text) AS begin, CAST(pg_snapshot_xmax(at) AS text) AS end "
    "FROM pg_current_snapshot() AS at"
)
_LAG = text(
    "SELECT extract(epoch FROM now() - at) FROM run_events "
    "WHERE xid >= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, id LIMIT 1"
)


def read_news(
    session: Session, after: Place, projects: Collection[UUID], scan: int = SCAN
) -> tuple[Sequence[Any], Place, bool]:
    """Rows of these projects behind a place, where the read ended, and whether more may be there at once."""
    values = {"xid": str(after.xid), "id": after.id, "scan": scan, "projects": list(projects)}
    rows = session.execute(_READ, values).all()
    if not rows:
        return [], after, False
    end = place_of(rows[-1])
    return [row for row in rows if row.project_id is not None], end, rows[-1].scanned >= scan


def place_of(row: Any) -> Place:
    """Behind this event."""
    return Place(int(row.xid), row.id)


def now(session: Session) -> Place:
    """Before everything that is not decided yet."""
    return Place(int(session.execute(_EDGE).one().begin), 0)


def checked(session: Session, place: Place) -> Place:
    """The place, if it can be one of this database. Raises `UserError` for one that lies in the future."""
    if place.xid > int(session.execute(_EDGE).one().end):
        raise UserError(
            f"{place} lies in the future of this database.", remedy="Begin anew with `from=now` or `from=beginning`."
        )
    return place


def lag_s(session: Session) -> float:
    """For how many seconds the oldest committed event waits behind a transaction that is still open."""
    return max(0.0, float(session.execute(_LAG).scalar() or 0.0))


def news_view(row: Any) -> ProjectEventView:
    """One event."""
    return ProjectEventView(
        run_id=row.run_id,
        seq=row.seq,
        attempt=row.attempt,
        type=row.type,
        at=row.at,
        data=row.data,
        cursor=str(place_of(row)),
        kind=row.kind,
        parent_id=row.parent_id,
    )

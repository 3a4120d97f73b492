"""How many there may be: each is looked at for every notice, so that somebody's millions would hold up all others."""

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.errors import Conflict


def must_be_fewer(
    session: Session, ids: InstrumentedAttribute[object], most: int, what: str, *of: ColumnElement[bool]
) -> None:
    """Raises `Conflict` if there are `most` already. Two at once may both get in."""
    if (session.scalar(select(func.count(ids)).where(*of)) or 0) >= most:
        raise Conflict(f"There are {most} {what} already.", remedy="Remove those that nobody needs.")

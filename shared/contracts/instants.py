"""A point in time and a time zone as a caller may write them."""

from datetime import UTC
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime

from shared.errors import UserError


def _in_utc(at: AwareDatetime) -> AwareDatetime:
    """Postgres knows no offsets of 16 hours and more, Python does."""
    if not 1970 < at.year < 9999:
        raise ValueError("is out of this world: the year must lie between 1971 and 9998")
    return at.astimezone(UTC)


Instant = Annotated[
    AwareDatetime, AfterValidator(_in_utc)
]  #: with a zone, in years that a database and a UUID can hold


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name. Raises `UserError` if the tz database has none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise UserError(
            f"There is no time zone {name[:60]!r}.",
            remedy="Name one of the tz database, e.g. Europe/Berlin or UTC.",
        ) from error

"""A point in time as a caller may write it: with a zone, in years that a database and a UUID can hold."""

from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(at: AwareDatetime) -> AwareDatetime:
    """Postgres knows no offsets of 16 hours and more, Python does."""
    if not 1970 < at.year < 9999:
        raise ValueError("is out of this world: the year must lie between 1971 and 9998")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]

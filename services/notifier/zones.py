"""Time zones of subscriptions, of which one that this process does not know must stop nothing."""

import structlog

from shared.contracts.instants import zone_named
from shared.errors import UserError

_log = structlog.get_logger(__name__)


def known_zone(name: str) -> str:
    """`name`; UTC where the tz database of this process has no such zone, as another process had when it was taken."""
    try:
        zone_named(name)
    except UserError:
        _log.warning("a time zone is not known here: UTC is taken", zone=name)
        return "UTC"
    return name

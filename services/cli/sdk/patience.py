"""How long to wait before a request is repeated: longer each time, never all clients at once, as the server asks.

Called by `transport.py`, `events.py` and `downloads.py`.
"""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

#: The answers of a gateway, of a server that restarts, and of one that wants less at a time.
RETRIED_STATUS = frozenset({429, 502, 503, 504})
#: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s: longer than a restart of the API, short enough to learn that there is none.
RETRIES = 5
LONGEST_PAUSE_S = 2.0
#: A server that asks for more is not waited for: its caller is told how long it asks.
LONGEST_ASKED_S = 60.0


def pause_s(tries: int, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Seconds before the next try after `tries` that failed: doubled each time, less up to a half by chance."""
    return float(min(0.1 * 2 ** min(tries, 20), longest_s) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def asked_s(response: httpx.Response, now: datetime | None = None) -> float | None:
    """Seconds that `Retry-After` asks to wait, as a number or a date; None where it does not say or makes no sense."""
    words = response.headers.get("Retry-After", "").strip()
    if words.isascii() and words.isdecimal():
        return float(words[:9])
    try:
        moment = parsedate_to_datetime(words)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)


def before_retry_s(response: httpx.Response, tries: int) -> float | None:
    """Seconds before a refused request may be sent again; None where it may not, or not soon enough to wait."""
    if response.status_code not in RETRIED_STATUS:
        return None
    asked = asked_s(response)
    if asked is None:
        return pause_s(tries)
    if asked > LONGEST_ASKED_S:
        return None
    return max(asked, pause_s(tries)) + pause_s(0)  # not all at the moment that was told to all

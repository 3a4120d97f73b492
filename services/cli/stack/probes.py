"""Whether a part serves. Each probe answers within a second or so; a thread of the supervisor's asks again."""

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

#: a probe is handed the port that was picked for the part's metrics, 0 if it has none
Probe = Callable[[int], bool]

_TIMEOUT_S = 2.0


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def serves(url: str) -> Probe:
    """Ready once that address answers."""
    return lambda _: answers(url)


def serves_metrics(port: int) -> bool:
    """Ready once the metrics can be fetched."""
    return answers(metrics_url(port))


def metrics_url(port: int) -> str:
    """Where a part shows its metrics."""
    return f"http://127.0.0.1:{port}/metrics"


def survives(seconds: float) -> Probe:
    """Ready once it has lived for so long: for parts that serve nobody."""

    def probe(_: int) -> bool:
        time.sleep(seconds)
        return True

    return probe

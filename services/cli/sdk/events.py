"""The events of one run in order, each once, over dropped connections and restarts of the API.

The server numbers events; a new connection names the last number seen (`Last-Event-ID`), so nothing is missed, and a
number that was seen is skipped, so nothing comes twice. Called by `runs.py`.
"""

from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from pydantic import ValidationError

from services.cli.sdk.errors import ApiError, NotReachable
from services.cli.sdk.transport import RETRIED_STATUS, Transport
from shared.contracts.states import TERMINAL
from shared.contracts.views import EventView

#: Empty connections in a row until the API counts as gone: with pauses of at most 2 s, about a minute.
MAX_EMPTY = 35
#: Empty connections in a row after which the run itself is asked whether it is over.
ASK_AFTER = 3
LONGEST_PAUSE_S = 2.0
#: A stream silent for so long is opened again; a lost peer would not be noticed otherwise.
READ_TIMEOUT_S = 45.0

_LOST = (httpx.RequestError, SSEError)
_TERMINAL = frozenset(state.value for state in TERMINAL)


def follow(http: Transport, run_id: UUID, after: int, is_over: Callable[[], bool]) -> Iterator[EventView]:
    """Yield events with `seq > after` until the run is terminal. Raises `NotReachable` if the API stays away."""
    last, empty = after, 0
    while True:
        seen = last
        try:
            for message in _messages(http, run_id, last):
                if message.event == "end":
                    return
                event = _event(message)
                if event is None or event.seq <= last:
                    continue
                last = event.seq
                yield event
                if ends(event):
                    return
            lost: Exception = SSEError("the stream of events closes again and again")
        except _LOST as error:
            lost = error
        except ApiError as error:
            if error.status not in RETRIED_STATUS:
                raise
            lost = error
        empty = 0 if last > seen else empty + 1
        if empty >= MAX_EMPTY:
            raise http.not_reachable(lost) from lost
        http.sleep(min(0.1 * 2 ** min(empty, 10), LONGEST_PAUSE_S))
        if empty and empty % ASK_AFTER == 0 and isinstance(lost, SSEError) and _asked(is_over):
            return


def ends(event: EventView) -> bool:
    """Whether the run is terminal with this event."""
    return event.type == "state" and event.data.get("state") in _TERMINAL


def _asked(is_over: Callable[[], bool]) -> bool:
    try:
        return is_over()
    except NotReachable:
        return False


def _messages(http: Transport, run_id: UUID, last: int) -> Iterator[ServerSentEvent]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last > 0:
        headers["Last-Event-ID"] = str(last)
    with http.stream(f"/v1/runs/{run_id}/events", headers, READ_TIMEOUT_S) as response:
        yield from EventSource(response).iter_sse()


def _event(message: ServerSentEvent) -> EventView | None:
    """The event of a message; None for one that this release does not know (a keep-alive, a comment)."""
    try:
        return EventView.model_validate_json(message.data)
    except ValidationError:
        return None

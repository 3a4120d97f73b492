"""Streams of events in order, each event once, over dropped connections and restarts of the API.

A new connection names the last event seen (`Last-Event-ID`), so nothing is missed; an event that was seen is skipped,
so nothing comes twice. Called by `runs.py` for one run, and by `watching.py` for all runs of a project.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from pydantic import BaseModel, ValidationError

from services.cli.sdk.errors import ApiError, NotReachable
from services.cli.sdk.patience import LONGEST_ASKED_S, RETRIED_STATUS, pause_s
from services.cli.sdk.transport import Query, Transport
from shared.contracts.states import TERMINAL
from shared.contracts.views import EventView

#: Empty connections in a row until the API counts as gone: with pauses of at most 2 s, about a minute.
MAX_EMPTY = 35
#: Empty connections in a row after which the run itself is asked whether it is over.
ASK_AFTER = 3
#: A stream silent for so long is opened again; a lost peer would not be noticed otherwise.
READ_TIMEOUT_S = 45.0

#: A connection that lived so long was one, though nothing happened meanwhile.
LIVED_S = 20.0

_LOST = (httpx.RequestError, SSEError)
_TERMINAL = frozenset(state.value for state in TERMINAL)

E = TypeVar("E", bound=BaseModel)


@dataclass
class Stream(Generic[E]):
    """One stream: where it is, what it carries, and when it ends."""

    http: Transport
    path: str
    model: type[E]
    last: str  #: id of the last event seen; empty: from the beginning, or as `query` says
    is_new: Callable[[E], bool]  #: told each event once it is read; False for one that was seen
    ends: Callable[[E], bool] = lambda _: False
    is_over: Callable[[], bool] = lambda: False  #: asked where connections stay empty
    query: Query | None = None

    def follow(self) -> Iterator[E]:
        """Yield events until the stream ends. Raises `NotReachable` if the API stays away, `ApiError` if it refuses."""
        empty = 0
        while True:
            seen, asked, began = self.last, 0.0, time.monotonic()
            lost: Exception = SSEError("the stream of events closes again and again")
            try:
                for message in self._messages():
                    if message.event == "end":
                        return
                    if message.event == "start" and message.id:
                        self.last = message.id  # what happens before the first event is not missed
                    event = self._event(message)
                    if event is not None:
                        yield event
                        if self.ends(event):
                            return
            except _LOST as error:
                lost = error
            except ApiError as error:
                asked = error.retry_after_s or 0.0
                if error.status not in RETRIED_STATUS or asked > LONGEST_ASKED_S:
                    raise
                lost = error
            empty = 0 if self.last != seen or time.monotonic() - began > LIVED_S else empty + 1
            if empty >= MAX_EMPTY:
                raise self.http.not_reachable(lost) from lost
            self.http.sleep(max(asked, pause_s(empty)))
            if empty and empty % ASK_AFTER == 0 and isinstance(lost, SSEError) and self._asked():
                return

    def _event(self, message: ServerSentEvent) -> E | None:
        """The event of a message; None for one that was seen, or that this release does not know."""
        try:
            event = self.model.model_validate_json(message.data)
        except ValidationError:
            return None
        if not self.is_new(event):
            return None
        if message.id:
            self.last = message.id
        return event

    def _asked(self) -> bool:
        try:
            return self.is_over()
        except NotReachable:
            return False

    def _messages(self) -> Iterator[ServerSentEvent]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self.last:
            headers["Last-Event-ID"] = self.last
        with self.http.stream(self.path, headers, READ_TIMEOUT_S, self.query) as response:
            yield from EventSource(response).iter_sse()


def ends(event: EventView) -> bool:
    """Whether the run is terminal with this event."""
    return event.type == "state" and event.data.get("state") in _TERMINAL


class Rising:
    """Whether an event of a run is new: its number is higher than any before."""

    def __init__(self, after: int) -> None:
        self.seq = after

    def __call__(self, event: EventView) -> bool:
        """Take note of an event."""
        new = event.seq > self.seq
        self.seq = max(self.seq, event.seq)
        return new

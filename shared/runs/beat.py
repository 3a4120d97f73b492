"""One thread of a process that looks at all who ask for it, again and again: joining costs no thread and no wake-up.

Kept by `shared.runs.keeper`, which has two: one that speaks with the database, and one that must never wait for it.
"""

import threading
from typing import Protocol

#: After so many looks at nobody the thread sleeps until it is woken; a burst of short runs never has to wake it.
_IDLE_LOOKS = 100


class Member(Protocol):
    """Who is looked at."""

    def beat(self) -> None:
        """Called every tick, never twice at once. What it raises ends its membership and is shown."""


class _Place:
    """One membership. `busy` is held during a look, and so by whoever wants to know that there is none."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.busy = threading.Lock()
        self.over = False


class Beat:
    """Calls every member each `tick_s`."""

    def __init__(self, name: str, tick_s: float) -> None:
        self._name = name
        self._tick_s = tick_s
        self._changed = threading.Condition()
        self._places: list[_Place] = []
        self._thread: threading.Thread | None = None
        self._asleep = False

    def join(self, member: Member) -> _Place:
        """Have it looked at from the next tick on."""
        place = _Place(member)
        with self._changed:
            self._places.append(place)
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._start()
            elif self._asleep:
                self._changed.notify()
        return place

    def leave(self, place: _Place, timeout_s: float = -1) -> None:
        """Return when no look at it is under way and none will be; after the time-out a look that hangs is left behind,
        with its thread.
        """
        place.over = True
        with self._changed:
            if place in self._places:
                self._places.remove(place)
        if place.busy.acquire(timeout=timeout_s):
            place.busy.release()
            return
        with self._changed:
            self._start()

    def _start(self) -> None:
        self._asleep = False
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        me, idle = threading.current_thread(), 0
        while True:
            with self._changed:
                self._asleep = idle >= _IDLE_LOOKS
                self._changed.wait(None if self._asleep else self._tick_s)
                if self._thread is not me:
                    return
                self._asleep = False
                places = list(self._places)
            idle = 0 if places else idle + 1
            for place in places:
                self._look(place)

    def _look(self, place: _Place) -> None:
        if not place.busy.acquire(blocking=False):  # a thread left behind is still at it
            return
        try:
            if not place.over:
                place.member.beat()
        except BaseException:
            with self._changed:
                self._places.remove(place)
                if self._places and self._thread is threading.current_thread():
                    self._start()
            raise
        finally:
            place.busy.release()

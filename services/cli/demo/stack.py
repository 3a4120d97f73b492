"""The stack under a demo: the one that is named, the one that runs, or one for the time of the demo."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from services.cli.session import Session
from services.cli.stack.control import detach, running, stop
from services.cli.stack.events import Event
from services.cli.stack.state import state_folder


@dataclass(frozen=True)
class Ground:
    """Where a demo takes place."""

    words: str
    started_here: bool


@contextmanager
def stack_for(session: Session, *, keep: bool, environment: Mapping[str, str] = os.environ) -> Iterator[Ground]:
    """A running stack; one that was started for this is stopped at the end, unless it is to be kept."""
    folder = state_folder(environment)
    named = session.url or environment.get("FAULTLINE_URL")
    if named:
        yield Ground(f"the one at {named}", started_here=False)
        return
    state = running(folder)
    if state is not None:
        yield Ground(f"running at {state.url}", started_here=False)
        return
    detach(folder, None, _quiet)
    try:
        state = running(folder)
        yield Ground(f"started at {state.url if state else folder.path}", started_here=True)
    finally:
        if not keep:
            stop(folder, _quiet)


def _quiet(_: Event) -> None:
    """Stages of the demo are told by the demo."""

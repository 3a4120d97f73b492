"""Many runs watched at once: a bar each on a terminal, a line per change of state in a pipe.

One thread follows the events of one run; the pictures are drawn from the main thread's point of view only.
"""

import queue
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from rich.console import RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.sdk import Client, NotReachable, RunFailed
from services.cli.session import Session
from services.cli.ui.picture import Picture
from services.cli.ui.text import duration, number, safe, state_text
from shared.contracts.states import RunState
from shared.contracts.views import EventView, RunView
from shared.errors import FaultlineError

_FRAMES_PER_S = 5
_LOOK_S = 0.5  #: how soon Ctrl-C is heard
_GRACE_S = 2.0  #: for threads to see that the runs they follow were cancelled


@dataclass(frozen=True)
class Entry:
    """One run on the board and what it is called there."""

    words: tuple[str, ...]
    run: RunView


News = tuple[int, EventView | FaultlineError | None]  #: place on the board; None: its run is over


def watch_all(session: Session, entries: Sequence[Entry]) -> list[RunView]:
    """Show runs until all succeeded; as they ended. Raises `RunFailed` for the first that did not; cancels the rest."""
    pictures = [Picture.of(entry.run) for entry in entries]
    news: queue.SimpleQueue[News] = queue.SimpleQueue()
    leaving = threading.Event()
    threads = [
        threading.Thread(target=_follow, args=(session.client, entry.run, place, news, leaving), daemon=True)
        for place, entry in enumerate(entries)
    ]
    live = session.out.is_terminal and not session.as_json
    view = Live(console=session.out, refresh_per_second=_FRAMES_PER_S, get_renderable=lambda: board(entries, pictures))
    try:
        for thread in threads:
            thread.start()
        with view if live else nullcontext():
            _until_over(session, entries, pictures, news, lines=not live)
    except BaseException:
        leaving.set()
        _cancel(session.client, pictures)
        for thread in threads:
            thread.join(_GRACE_S / len(threads))
        raise
    return [session.client.run(entry.run.id) for entry in entries]


def _until_over(
    session: Session, entries: Sequence[Entry], pictures: list[Picture], news: "queue.SimpleQueue[News]", *, lines: bool
) -> None:
    left = len(entries)
    while left:
        try:
            place, event = news.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        if isinstance(event, FaultlineError):
            raise event
        if event is None:
            left -= 1
            ended = session.client.run(entries[place].run.id)
            if ended.state is not RunState.SUCCEEDED:
                raise RunFailed(ended)
            continue
        before = pictures[place].state
        pictures[place].apply(event)
        if lines and pictures[place].state is not before:
            _say(session, entries[place], pictures[place])


def _say(session: Session, entry: Entry, picture: Picture) -> None:
    """A line for a run that begins or is over."""
    if picture.state is RunState.RUNNING or picture.over:
        words = Text("   ").append("  ".join(map(safe, entry.words)), style="quiet").append("  ")
        session.say(words.append_text(_words(picture) if picture.over else state_text(picture.state)))


def _follow(
    client: Client, run: RunView, place: int, news: "queue.SimpleQueue[News]", leaving: threading.Event
) -> None:
    try:
        for event in client.events(run.id):
            if leaving.is_set():
                return
            news.put((place, event))
        news.put((place, None))
    except FaultlineError as error:
        news.put((place, error))
    except RuntimeError:  # the client is closed under a thread that nobody waits for any more
        if not leaving.is_set():
            raise


def _cancel(client: Client, pictures: Sequence[Picture]) -> None:
    """Ask what still runs to stop. Best effort: what brought us here is the error to tell."""
    for picture in pictures:
        if picture.over:
            continue
        try:
            client.cancel(picture.run_id)
        except NotReachable:
            return
        except FaultlineError:
            continue


def board(entries: Sequence[Entry], pictures: Sequence[Picture]) -> RenderableType:
    """The bars."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in entries[0].words:
        table.add_column(no_wrap=True)
    table.add_column(width=24)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for entry, picture in zip(entries, pictures, strict=True):
        progress = picture.progress
        bar = ProgressBar(total=1.0, completed=progress.fraction, width=24)
        share = f"{100 * progress.fraction:.0f} %" if picture.state is not RunState.QUEUED else ""
        table.add_row(*map(safe, entry.words), bar, share, _words(picture))
    return Padding(table, (0, 0, 0, 3))


def _words(picture: Picture) -> Text:
    if picture.state is not RunState.RUNNING:
        words = Text("done", "good") if picture.state is RunState.SUCCEEDED else state_text(picture.state)
        if picture.over and picture.seconds is not None:
            words.append(f"  {duration(picture.seconds)}", style="quiet")
        return words
    progress = picture.progress
    words = Text(safe(progress.stage or "starting"), style="quiet")
    if progress.current is not None and progress.total is not None:
        words.append(f" {progress.current}/{progress.total}")
    for name in picture.shown_curves(1):
        words.append(f"  {safe(name).replace('_', ' ')} {number(picture.curves[name][-1][1])}")
    return words

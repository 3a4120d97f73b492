"""Watching one run: a live picture on a terminal, plain lines in a pipe, one JSON event a line under `--json`.

Ctrl-C ends the watching, never the run.
"""

import time
from collections.abc import Callable
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.lazy import INTERRUPTED
from services.cli.session import Session
from services.cli.ui.curve import curve
from services.cli.ui.picture import Picture
from services.cli.ui.result import facts
from services.cli.ui.text import duration, number, safe, short_id, state_text
from shared.contracts.states import RunState
from shared.contracts.views import MetricPoint, RunView

_LATER = (("watch again", "watch"), ("stop it", "cancel"))
_FRAMES_PER_S = 6
_CURVES = 2
#: Plain lines: at most one in so many seconds, but for changes of state and stage.
PLAIN_EVERY_S = 5.0


def watch(session: Session, run: RunView) -> RunView:
    """Show a run until it is terminal; the run as it ended."""
    picture = Picture.of(run)
    try:
        if session.as_json:
            _follow_json(session, run.id)
        elif session.out.is_terminal:
            _follow_live(session, picture)
        else:
            _follow_plain(session, picture)
    except KeyboardInterrupt as stop:
        session.err.print("\nThe run goes on.")
        session.err.print(facts(*((words, f"faultline runs {name} {short_id(run.id)}") for words, name in _LATER)))
        raise typer.Exit(INTERRUPTED) from stop
    return session.client.run(run.id)


def all_metrics(session: Session, run_id: UUID) -> list[MetricPoint]:
    """Every point of a run, over all pages."""
    points: list[MetricPoint] = []
    cursor: str | None = None
    while True:
        page = session.client.metrics(run_id, cursor)
        points += page.items
        if not page.items or page.next_cursor is None or page.next_cursor == cursor:
            return points
        cursor = page.next_cursor


def _follow_json(session: Session, run_id: UUID) -> None:
    for event in session.client.events(run_id):
        session.emit(event)


def _follow_live(session: Session, picture: Picture) -> None:
    width = min(session.out.width, 100)
    with Live(
        console=session.out,
        refresh_per_second=_FRAMES_PER_S,
        get_renderable=lambda: live_view(picture, width),
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        for event in session.client.events(picture.run_id):
            picture.apply(event)
        if picture.curves:
            picture.history(all_metrics(session, picture.run_id))


def _follow_plain(session: Session, picture: Picture) -> None:
    lines = PlainLines(picture)
    for event in session.client.events(picture.run_id):
        picture.apply(event)
        line = lines.next(event.type)
        if line is not None:
            session.out.print(line, soft_wrap=True)


class PlainLines:
    """Lines for a log: each change of state and stage, and now and then how far the run is."""

    def __init__(self, picture: Picture, clock: Callable[[], float] = time.monotonic) -> None:
        self._picture = picture
        self._clock = clock
        self._said: tuple[object, ...] = ()
        self._at = -PLAIN_EVERY_S

    def next(self, event_type: str) -> str | None:
        """The line that is due after an event, if one is."""
        picture = self._picture
        news = (picture.state, picture.attempt, picture.progress.stage, picture.notice)
        due = event_type in {"progress", "metrics"} and self._clock() - self._at >= PLAIN_EVERY_S
        if news == self._said and not due:
            return None
        self._said, self._at = news, self._clock()
        return plain_line(picture)


def plain_line(picture: Picture) -> str:
    """One line that says where a run stands."""
    progress = picture.progress
    parts = [short_id(picture.run_id), picture.state.value]
    if picture.reason and not picture.over:
        parts[-1] += f" ({safe(picture.reason)})"
    if picture.state is RunState.RUNNING:
        parts += [f"{100 * progress.fraction:.0f} %", _count(progress.stage, progress.current, progress.total)]
        parts += [f"{safe(name)} {number(picture.curves[name][-1][1])}" for name in picture.shown_curves(_CURVES)]
    if picture.notice:
        parts.append(safe(picture.notice))
    return "  ".join(part for part in parts if part)


def live_view(picture: Picture, width: int) -> RenderableType:
    """The live picture."""
    parts: list[RenderableType] = [_head(picture, width), _bar(picture, width)]
    if picture.notice:
        parts.append(Text(safe(picture.notice), style="wait"))
    names = picture.shown_curves(_CURVES)
    if names:
        curves = Table.grid(padding=(0, 3, 0, 0))
        each = (width - 8) // _CURVES
        total = picture.progress.total
        curves.add_row(*(curve(name, picture.curves[name], each, span=total) for name in names))
        parts.append(Padding(curves, (1, 0, 0, 0)))
    return Padding(Group(*parts), (1, 1))


def _head(picture: Picture, width: int) -> Table:
    line = Table.grid(expand=False)
    left = Text(safe(picture.name), style="name")
    left.append(f"  {safe(picture.kind)}  {short_id(picture.run_id)}", style="quiet")
    right = state_text(picture.state)
    if picture.reason and not picture.over:
        right.append(f"  {safe(picture.reason)}", style="quiet")
    if picture.attempt > 1:
        right.append(f"  attempt {picture.attempt}", style="wait")
    if picture.seconds is not None:
        right.append(f"  {duration(picture.seconds)}", style="quiet")
    line.add_column(width=max(width - 4 - right.cell_len, 10), no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", overflow="fold")
    line.add_row(left, right)
    return line


def _bar(picture: Picture, width: int) -> Table:
    progress = picture.progress
    row = Table.grid(padding=(0, 2, 0, 0))
    words = Text(f"{100 * progress.fraction:3.0f} %", style="name")
    words.append(f"  {_count(progress.stage, progress.current, progress.total)}", style="quiet")
    if progress.eta_seconds is not None and not picture.over:
        words.append(f"  {duration(progress.eta_seconds)} left", style="quiet")
    row.add_row(ProgressBar(total=1.0, completed=progress.fraction, width=max(width // 2 - 4, 10)), words)
    return row


def _count(stage: str | None, current: int | None, total: int | None) -> str:
    words = safe(stage) if stage else ""
    if current is not None:
        words += f" {current:,}/{total:,}" if total is not None else f" {current:,}"
    return words.strip()

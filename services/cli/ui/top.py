"""The picture of `faultline top`: pools, workers, what runs, what waits and why, what failed. It only draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.ui.bars import bar
from services.cli.ui.text import ago, duration, plural, safe, short_id
from shared.contracts.pools import PoolView, WaitView
from shared.contracts.states import RunState
from shared.contracts.views import RunView, WorkerView

NARROW = 100
_QUEUED = (RunState.QUEUED, RunState.DISPATCHED)


@dataclass(frozen=True)
class Scene:
    """Everything that one frame shows, as it was at `at`."""

    at: datetime
    url: str
    project: str
    pools: Sequence[PoolView] = ()
    workers: Sequence[WorkerView] = ()
    running: Sequence[RunView] = ()
    waiting: Sequence[RunView] = ()
    waits: dict[str, WaitView] = field(default_factory=dict)  #: by run id; of those at the head
    failed: Sequence[RunView] = ()
    more: frozenset[str] = frozenset()  #: lists that hold more than was fetched
    lost: str = ""  #: why nothing newer is known


@dataclass
class Room:
    """Lines that are left on the screen; None: as many as it takes."""

    lines: int | None

    def take(self, wanted: int, reserve: int = 0) -> int:
        """How many of `wanted` rows may be shown while `reserve` lines are kept for what follows."""
        if self.lines is None:
            return wanted
        given = min(wanted, max(self.lines - reserve, 0))
        self.lines -= given
        return given


def frame(scene: Scene, width: int, height: int | None) -> RenderableType:
    """One frame, at most `height` lines high."""
    room = Room(None if height is None else max(height - 1, 4))
    parts: list[RenderableType] = [_head(scene, width)]
    room.take(1)
    sections = [
        ("pools", [_pool(pool, width) for pool in scene.pools], "The settings name no pool.", _widths_pool(width)),
        ("workers", [_worker(worker) for worker in scene.workers], "No worker has registered.", _widths_worker(width)),
        ("running", [_run(run, width) for run in scene.running], "Nothing runs.", _widths_run(width)),
        ("waiting", [_waiting(run, scene) for run in scene.waiting], "Nothing waits.", _widths_waiting(width)),
        ("failed in the last hour", [_failed(run) for run in scene.failed], "Nothing.", _widths_failed(width)),
    ]
    for index, (title, rows, nothing, widths) in enumerate(sections):
        later = 3 * (len(sections) - index - 1)  # a blank line, a title and one row of each
        many = f"{len(rows):,}{'+' if title in scene.more else ''}"
        parts += [Text(), Text.assemble((title, "name"), (f"  {many}" if rows else "", "quiet"))]
        room.take(2)
        if not rows:
            parts.append(Text(f"  {nothing}", style="quiet"))
            room.take(1)
            continue
        shown = room.take(len(rows), later)
        if shown < len(rows):
            shown = max(shown - 1, 0)
        parts += [_grid(rows[:shown], widths)] if shown else []
        if shown < len(rows):
            parts.append(Text(f"  … and {plural(len(rows) - shown, 'more', 'more')}", style="quiet"))
    return Group(*parts)


def _head(scene: Scene, width: int) -> Table:
    line = Table.grid(expand=False)
    left = Text.assemble(("faultline", "name"), (f"  {safe(scene.url)}  project {safe(scene.project)}", "quiet"))
    words = scene.lost or scene.at.astimezone().strftime("%H:%M:%S")
    right = Text(safe(words), style="bad" if scene.lost else "quiet", overflow="ellipsis", no_wrap=True)
    line.add_column(width=max(width - min(right.cell_len, width // 2) - 1, 10), no_wrap=True, overflow="ellipsis")
    line.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 2)
    line.add_row(left, right)
    return line


def _grid(rows: Sequence[Sequence[RenderableType]], widths: Sequence[int]) -> Table:
    """Rows of one line each: columns keep their width, so nothing jumps while it is watched."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=0)
    for width in widths:
        table.add_column(width=width, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row("", *row[: len(widths)])
    return table


def _fill(width: int, *fixed: int) -> int:
    """What is left of `width` beside columns of a fixed width and their gaps."""
    return max(width - sum(fixed) - 2 * (len(fixed) + 2), 8)


def _widths_pool(width: int) -> list[int]:
    name, slots, queued = 18 if width >= NARROW else 14, 10, 10
    size = 24 if width >= NARROW else 12
    return [name, size, slots, queued, _fill(width, name, size, slots, queued)]


def _pool(pool: PoolView, width: int) -> list[RenderableType]:
    size = _widths_pool(width)[1]
    queued = sum(pool.states.get(state, 0) for state in _QUEUED)
    notes = []
    if pool.paused:
        notes.append(f"paused: {safe(pool.reason or '')}")
    elif not pool.slots:
        notes.append("no worker")
    if queued and pool.oldest_queued_seconds is not None:
        notes.append(f"oldest {duration(pool.oldest_queued_seconds)}")
    if pool.ended_last_hour:
        notes.append(f"{pool.ended_last_hour:,} ended this hour")
    full = pool.slots > 0 and pool.busy >= pool.slots
    return [
        Text(safe(pool.name)),
        bar(pool.busy / pool.slots if pool.slots else 0.0, size, "wait" if full else "key"),
        Text(f"{pool.busy}/{pool.slots} busy"),
        Text(f"{queued:,} queued", style="" if queued else "quiet"),
        Text(", ".join(notes), style="wait" if pool.paused or not pool.slots else "quiet"),
    ]


def _widths_worker(width: int) -> list[int]:
    name, state, busy = 24 if width >= NARROW else 18, 8, 9
    return [name, state, busy, _fill(width, name, state, busy)]


def _worker(worker: WorkerView) -> list[RenderableType]:
    state = Text("draining", "wait") if worker.draining else Text("alive", "good")
    about = f"{', '.join(map(safe, worker.pools))}  {safe(worker.version)}  heard {ago(worker.heartbeat_at)}"
    return [
        Text(safe(worker.name)),
        state if worker.alive else Text("gone", "bad"),
        Text(f"{worker.busy}/{worker.slots} busy"),
        Text(about, style="quiet"),
    ]


def _widths_run(width: int) -> list[int]:
    run, name, size, percent = 8, 26 if width >= NARROW else 16, 24 if width >= NARROW else 12, 4
    return [run, name, size, percent, _fill(width, run, name, size, percent)]


def _run(run: RunView, width: int) -> list[RenderableType]:
    progress = run.progress
    words = safe(progress.stage or "")
    if progress.current is not None:
        words += f" {progress.current:,}" + (f"/{progress.total:,}" if progress.total is not None else "")
    notes = [words.strip()] if words.strip() else []
    if progress.eta_seconds is not None:
        notes.append(f"{duration(progress.eta_seconds)} left")
    elif run.started_at is not None:
        notes.append(f"since {duration((datetime.now(UTC) - run.started_at).total_seconds())}")
    if run.attempt > 1:
        notes.append(f"attempt {run.attempt}")
    return [
        Text(short_id(run.id), style="key"),
        Text(name_of(run)),
        bar(progress.fraction, _widths_run(width)[2]),
        Text(f"{100 * progress.fraction:3.0f}%"),
        Text("  ".join(notes), style="quiet"),
    ]


def _widths_waiting(width: int) -> list[int]:
    run, name, since = 8, 26 if width >= NARROW else 16, 8
    return [run, name, since, _fill(width, run, name, since)]


def _waiting(run: RunView, scene: Scene) -> list[RenderableType]:
    known = scene.waits.get(str(run.id))
    sentence = known.sentence if known else run.wait_reason or f"{run.state.value} in {run.pool}"
    seconds = (scene.at - run.created_at).total_seconds()
    return [
        Text(short_id(run.id), style="key"),
        Text(name_of(run)),
        Text(duration(max(seconds, 0)), style="quiet"),
        Text(safe(sentence), style="wait" if known and known.blocked_by in {"no_worker", "pool_paused"} else "quiet"),
    ]


def _widths_failed(width: int) -> list[int]:
    run, name, since = 8, 26 if width >= NARROW else 16, 10
    return [run, name, since, _fill(width, run, name, since)]


def _failed(run: RunView) -> list[RenderableType]:
    error = run.envelope.error if run.envelope else None
    return [
        Text(short_id(run.id), style="key"),
        Text(name_of(run)),
        Text(ago(run.finished_at), style="quiet"),
        Text(safe(error.message if error else run.state.value), style="bad"),
    ]


def name_of(run: RunView) -> str:
    """What a run makes or is called, else its kind."""
    return safe(run.spec.get("name") or run.kind)

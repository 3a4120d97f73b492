"""Waiting for a worker to be empty: a live picture on a terminal, a line per change in a pipe, silence under `--json`.

Called by `commands/workers.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import sleep

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.cli.lazy import INTERRUPTED
from services.cli.sdk import RunFilter
from services.cli.session import Session
from services.cli.ui.bars import bar
from services.cli.ui.text import duration, plural, safe, short_id
from shared.contracts.states import RunState
from shared.contracts.views import RunView, WorkerView
from shared.errors import FaultlineError

LOOK_EVERY_S = 1.0
_BAR = 24
_MOST_RUNS = 200


class NotDrainedError(FaultlineError):
    """The worker did not become empty by draining."""

    exit_code = 1


@dataclass(frozen=True)
class Look:
    """What is left at one moment: the worker, and those of its runs that are of the caller's project."""

    worker: WorkerView
    runs: Sequence[RunView] = ()


def is_empty(worker: WorkerView) -> bool:
    """Whether a worker that drains is empty for good: until it has let go of its queues it may take one more run.

    Raises `NotDrainedError` if it can no longer come to that.
    """
    if not worker.alive:
        left = plural(worker.busy, "run")
        words = f"The worker {worker.name!r} is gone" + (f", and {left} with it." if worker.busy else ".")
        raise NotDrainedError(words, remedy="Its runs start again elsewhere; `faultline runs list` shows them.")
    if worker.drain_requested_at is None:
        raise NotDrainedError(
            f"The worker {worker.name!r} takes work again: it was undrained or restarted.",
            remedy=f"If it is still to be drained: `faultline workers drain {worker.name}`.",
        )
    return worker.let_go and not worker.busy


def until_empty(session: Session, worker: WorkerView) -> WorkerView:
    """Wait; the worker as it is then. Raises `NotDrainedError`, and exits as interrupted on Ctrl-C."""
    try:
        if session.as_json or not session.out.is_terminal:
            return _plain(session, worker)
        with Live(console=session.out, auto_refresh=False, transient=True) as live:
            for look in _looks(session, worker.name):
                live.update(picture(look), refresh=True)
                worker = look.worker
        return worker
    except KeyboardInterrupt as stop:
        words = f"The worker goes on draining; `faultline workers undrain {safe(worker.name)}` ends that."
        session.err.print(words, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from stop


def picture(look: Look) -> RenderableType:
    """How full the worker still is, and how far each of its runs."""
    worker = look.worker
    head = Table.grid(padding=(0, 2, 0, 0))
    head.add_row(
        Text(safe(worker.name), style="name"),
        bar(worker.busy / worker.slots if worker.slots else 0.0, _BAR, "wait"),
        Text(_left(worker), style="quiet"),
    )
    runs = Table.grid(padding=(0, 2, 0, 0))
    for run in look.runs:
        eta = run.progress.eta_seconds
        runs.add_row(
            Text(short_id(run.id), style="key"),
            safe(run.spec.get("name") or run.kind),
            bar(run.progress.fraction, _BAR),
            f"{100 * run.progress.fraction:3.0f} %",
            Text(f"{duration(eta)} left" if eta is not None else safe(run.progress.stage or ""), style="quiet"),
        )
    others = worker.busy - len(look.runs)
    parts: list[RenderableType] = [head]
    if look.runs:
        parts += [Text(), runs]
    if others > 0:
        parts.append(Text(f"and {plural(others, 'run')} of other projects", style="quiet"))
    return Padding(Group(*parts), (1, 1))


def _left(worker: WorkerView) -> str:
    if not worker.busy:
        return "empty, about to let go of its queues"
    return f"draining, {worker.busy} of {plural(worker.slots, 'slot')} busy"


def _plain(session: Session, worker: WorkerView) -> WorkerView:
    said = ""
    for look in _looks(session, worker.name):
        worker = look.worker
        if said != (said := _left(worker)):
            session.say(f"{safe(worker.name)}  {said}")
    return worker


def _looks(session: Session, name: str) -> Iterator[Look]:
    """The worker again and again, at last when it is empty."""
    while True:
        worker = session.client.worker(name)
        running = session.client.runs(RunFilter(states=[RunState.RUNNING]), limit=_MOST_RUNS) if worker.busy else []
        yield Look(worker, [run for run in running if run.worker == name])
        if is_empty(worker):
            return
        sleep(LOOK_EVERY_S)

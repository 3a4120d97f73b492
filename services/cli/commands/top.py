"""`faultline top`: a calm live view of pools, workers and runs."""

import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.live import Live

from services.cli.sdk import ApiError, Client, NotReachable, RunFilter
from services.cli.session import Session, with_session
from services.cli.ui.top import Scene, frame
from shared.contracts.pools import WaitView
from shared.contracts.states import RunState
from shared.contracts.views import RunView

#: More rows than a screen has; what lies beyond is counted as "more".
MOST = 100
#: Each costs a request.
_WHYS = 5
_FAILED = [RunState.FAILED, RunState.QUARANTINED]
_WAITING = [RunState.QUEUED, RunState.DISPATCHED, RunState.WAITING, RunState.PAUSED, RunState.PREEMPTED]


def _top(
    session: Session,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="S", min=0.5, help="Seconds between frames.")] = 1.0,
) -> None:
    """Watch pools, workers, what runs, what waits and why, and what failed in the last hour; q or Ctrl-C leaves.

    In a pipe, and with --json, one frame is given.

    \b
    Examples:
      faultline top
      faultline top --once | less
      faultline top --json | jq '.running[].id'
    """
    project = session.client.me().project
    scene = look(session.client, project, Scene(datetime.now(UTC), session.client.url, project))
    if session.as_json:
        session.emit(_document(scene))
    elif once or not session.out.is_terminal:
        session.out.print(frame(scene, session.out.width, None))
    else:
        _live(session, scene, every)


def look(client: Client, project: str, before: Scene) -> Scene:
    """What there is now; what was there before, with the reason, while the API is away."""
    now = datetime.now(UTC)
    try:
        running = client.runs(RunFilter(states=[RunState.RUNNING], oldest_first=True), limit=MOST)
        waiting = client.runs(RunFilter(states=_WAITING, oldest_first=True), limit=MOST)
        recent = RunFilter(states=_FAILED, created_after=now - timedelta(days=1))
        failed = [run for run in client.runs(recent, limit=MOST) if _last_hour(run, now)]
        waits = {str(run.id): why for run in waiting[:_WHYS] if (why := _why(client, run))}
        return Scene(
            at=now,
            url=client.url,
            project=project,
            pools=client.pools(),
            workers=client.workers(),
            running=running,
            waiting=waiting,
            waits=waits,
            failed=failed,
            more=frozenset(name for name, runs in (("running", running), ("waiting", waiting)) if len(runs) == MOST),
        )
    except (NotReachable, ApiError) as error:
        if not before.pools:
            raise
        return replace(before, lost=error.message)


def _why(client: Client, run: RunView) -> WaitView | None:
    try:
        return client.why(run.id)
    except ApiError as error:
        if error.status != 404:  # it has gone in between
            raise
        return None


def _last_hour(run: RunView, now: datetime) -> bool:
    return run.finished_at is not None and now - run.finished_at <= timedelta(hours=1)


def _live(session: Session, scene: Scene, every_s: float) -> None:
    out = session.out
    try:
        with _keys() as pressed, Live(console=out, screen=True, auto_refresh=False) as live:
            while True:
                live.update(frame(scene, out.width, out.height), refresh=True)
                deadline = time.monotonic() + every_s
                while (left := deadline - time.monotonic()) > 0:
                    if pressed(left):
                        return
                scene = look(session.client, scene.project, scene)
    except KeyboardInterrupt:
        return


@contextmanager
def _keys() -> Iterator[Any]:
    """Gives a function that waits so many seconds for a `q`; typed keys are not shown meanwhile."""
    if not sys.stdin.isatty():
        yield lambda seconds: time.sleep(seconds)
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([terminal], [], [], seconds)
        return bool(ready) and sys.stdin.read(1) in {"q", "Q", "\x04", ""}

    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _document(scene: Scene) -> dict[str, Any]:
    plain = {name: value for name, value in vars(scene).items() if name in {"url", "project"}}
    lists = {
        name: [item.model_dump(mode="json") for item in getattr(scene, name)]
        for name in ("pools", "workers", "running", "waiting", "failed")
    }
    waits = {run_id: why.model_dump(mode="json") for run_id, why in scene.waits.items()}
    return {"at": scene.at.isoformat(), **plain, **lists, "waits": waits, "more": sorted(scene.more)}


top = with_session(_top)

"""`faultline pools`: list, show, pause, resume."""

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from services.cli.arguments import build
from services.cli.lazy import ListingGroup
from services.cli.session import Session, command
from services.cli.ui.bars import bar
from services.cli.ui.listing import Listing
from services.cli.ui.result import facts
from services.cli.ui.text import ago, duration, safe
from shared.contracts.pools import PauseRequest, PoolView
from shared.contracts.states import RunState

app = typer.Typer(
    cls=ListingGroup, rich_markup_mode=None, add_completion=False, help="Pools of workers: how they stand, their pause."
)
Name = Annotated[str, typer.Argument(metavar="POOL", help="Its name.", show_default=False)]
_BAR = 16


@command(app, "list")
def list_pools(session: Session) -> None:
    """List pools: slots, what they do, what waits."""
    found = session.client.pools()
    session.show(found, _table(found))


@command(app, "show")
def show_pool(session: Session, name: Name) -> None:
    """Show one pool, and how long its runs take."""
    found = session.client.pool(name)
    session.show(found, _view(found))


@command(app, "pause")
def pause_pool(
    session: Session,
    name: Name,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Shown to everyone whose run waits.", show_default=False)
    ],
) -> None:
    """Send nothing more of a pool; what runs goes on. For operators.

    Example: faultline pools pause training-cpu --reason "the disk is being replaced"
    """
    paused = session.client.pause_pool(name, build(PauseRequest, reason=reason).reason)
    session.show(paused, _table([paused]))


@command(app, "resume")
def resume_pool(session: Session, name: Name) -> None:
    """Send a pool's runs again. For operators.

    Example: faultline pools resume training-cpu
    """
    resumed = session.client.resume_pool(name)
    session.show(resumed, _table([resumed]))


def _table(found: list[PoolView]) -> RenderableType:
    columns = ("pool", "class", "slots", "busy", "queued", "oldest", "last hour", "state")
    right = ("busy", "queued", "oldest", "last hour")
    table = Listing(*columns, right=right, least=("class", "last hour", "slots", "oldest"))
    for pool in found:
        table.add_row(
            Text(safe(pool.name), style="name"),
            Text(pool.resource_class, style="quiet"),
            bar(pool.busy / pool.slots if pool.slots else 0.0, _BAR),
            f"{pool.busy}/{pool.slots}",
            f"{_queued(pool):,}",
            duration(pool.oldest_queued_seconds) if pool.oldest_queued_seconds is not None else "",
            f"{pool.ended_last_hour:,}",
            _state(pool),
        )
    return table if found else Text("The settings name no pool.", style="quiet")


def _view(pool: PoolView) -> RenderableType:
    states = ", ".join(f"{count:,} {state.value}" for state, count in pool.states.items())
    took = [(safe(kind), f"{duration(seconds)} (median)") for kind, seconds in sorted(pool.median_seconds.items())]
    return facts(
        ("pool", Text(safe(pool.name), style="name")),
        ("state", _state(pool)),
        ("slots", f"{pool.busy} of {pool.slots} busy, {pool.resource_class}"),
        ("runs", states or "none"),
        ("last hour", f"{pool.ended_last_hour:,} ended"),
        *((("changed", ago(pool.changed_at)),) if pool.changed_at else ()),
        *took,
    )


def _state(pool: PoolView) -> Text:
    if pool.paused:
        return Text(f"paused: {safe(pool.reason or '')}", "wait")
    return Text("serves", "good") if pool.slots else Text("no worker", "bad")


def _queued(pool: PoolView) -> int:
    return pool.states.get(RunState.QUEUED, 0) + pool.states.get(RunState.DISPATCHED, 0)

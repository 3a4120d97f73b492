"""`faultline runs why`: what a run waits for."""

from rich.console import RenderableType
from rich.text import Text

from services.cli.commands.run_files import Run
from services.cli.lookup import find_run
from services.cli.session import Session
from services.cli.ui.result import facts
from services.cli.ui.text import ahead, plural, safe, short_id, state_text
from shared.contracts.pools import Block, WaitView

_BAD = frozenset({Block.NO_WORKER, Block.KIND_NOT_SERVED, Block.POOL_PAUSED})


def why(session: Session, run: Run = "last") -> None:
    """Say why a run has not started, what is ahead of it, and when it may start.

    Example: faultline runs why last
    """
    found = session.client.why(find_run(session.client, run).id)
    session.show(found, _view(found))


def _view(found: WaitView) -> RenderableType:
    rows: list[tuple[str, RenderableType]] = [
        ("run", Text(short_id(found.run_id), style="key")),
        ("state", state_text(found.state)),
        ("why", Text(safe(found.sentence), style="wait" if found.blocked_by in _BAD else "")),
    ]
    if found.ahead is not None:
        rows.append(("ahead", plural(found.ahead, "run")))
    if found.estimated_start_at is not None:
        rows.append(("may start", ahead(found.estimated_start_at)))
    return facts(*rows)

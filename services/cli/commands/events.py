"""`faultline events`: what happens in the project, as it happens."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.commands.run_filter import label_words
from services.cli.lazy import INTERRUPTED
from services.cli.lookup import find_run
from services.cli.sdk.watching import NewsFilter
from services.cli.session import Session, with_session
from services.cli.ui.text import number, safe, short_id, state_text
from shared.contracts.stream import ProjectEventView

Texts = list[str] | None
_PAGE = 1000


def _events(
    session: Session,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it happens, until Ctrl-C.")] = False,
    kinds: Annotated[Texts, typer.Option("--kind", metavar="KIND", help="Of runs of this kind (repeat).")] = None,
    types: Annotated[
        Texts, typer.Option("--type", metavar="TYPE", help="state, progress, stage, metrics, artifact (repeat).")
    ] = None,
    labels: Annotated[Texts, typer.Option("--label", metavar="NAME:VALUE", help="Of the run (repeat).")] = None,
    parent: Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Of children of this run.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Begin behind this cursor; --json shows them.")
    ] = None,
    beginning: Annotated[
        bool, typer.Option("--from-beginning", help="With --follow: all that is kept first, then what happens.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Without --follow: at most so many.")] = 100,
) -> None:
    """Show what happened to the runs of the project, oldest first, or follow what happens from now on.

    Under --json one event a line, each with the cursor to go on behind.

    \b
    Examples:
      faultline events --follow --type state
      faultline events --limit 20 --kind model.train
      faultline events -f --json | jq -r 'select(.type == "state") | [.run_id, .data.state] | @tsv'
    """
    run = find_run(session.client, parent).id if parent else None
    wanted = NewsFilter(kinds or (), types or (), label_words(labels), run)
    try:
        if follow:
            for event in session.client.news(wanted, after=after, from_beginning=beginning):
                _show(session, event)
        else:
            _show_pages(session, wanted, after, limit)
    except KeyboardInterrupt as stop:
        raise typer.Exit(INTERRUPTED) from stop


def _show_pages(session: Session, wanted: NewsFilter, cursor: str | None, left: int) -> None:
    while left:
        page = session.client.news_page(wanted, cursor=cursor, limit=min(left, _PAGE))
        for event in page.items:
            _show(session, event)
        if page.next_cursor is None or page.next_cursor == cursor:
            return
        cursor, left = page.next_cursor, left - len(page.items)
    session.say(Text(f"Go on with `faultline events --after {cursor}`.", style="quiet"))


def _show(session: Session, event: ProjectEventView) -> None:
    if session.as_json:
        session.emit(event)
    else:
        session.out.print(_line(event), soft_wrap=True)


def _line(event: ProjectEventView) -> Text:
    text = Text(f"{event.at.astimezone():%H:%M:%S}  ", style="quiet")
    text.append(short_id(event.run_id), style="key").append(f"  {safe(event.kind):<17} ", style="quiet")
    data = event.data
    if event.type == "state":
        text.append(state_text(str(data.get("state", ""))))
        reason = data.get("reason")
        return text.append(f"  {safe(reason)}", style="quiet") if reason else text
    text.append(f"{safe(event.type)}  ", style="quiet")
    if event.type in {"progress", "stage"}:
        return text.append(_progress(data))
    if event.type == "metrics" and isinstance(data.get("latest"), dict):
        latest = data["latest"].items()
        return text.append("  ".join(f"{safe(name)} {_number(value)}" for name, value in latest))
    return text.append("  ".join(f"{safe(name)} {safe(value)}" for name, value in data.items()))


def _progress(data: dict[str, object]) -> str:
    fraction, stage = data.get("fraction"), data.get("stage")
    words = [f"{100 * fraction:.0f} %"] if isinstance(fraction, int | float) else []
    if stage:
        words.append(safe(stage))
    if data.get("current") is not None:
        words.append(f"{data['current']}" + (f"/{data['total']}" if data.get("total") is not None else ""))
    return " ".join(words)


def _number(value: object) -> str:
    return number(value) if isinstance(value, int | float) else safe(value)


events = with_session(_events)

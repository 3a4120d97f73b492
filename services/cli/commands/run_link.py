"""`faultline runs link`, `models link`: files for somebody who has no key."""

from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.commands.run_files import Run, chosen
from services.cli.commands.run_filter import span_s
from services.cli.lookup import find_run
from services.cli.session import Session
from services.cli.ui.text import ahead, safe, short_id

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Files to link; default: all.")]
Life = Annotated[str, typer.Option("--for", metavar="TIME", help="How long it works: 30min, 2h, at most 1d.")]
_LONGEST_S = 86_400


def link(session: Session, run: Run, names: Names = None, life: Life = "1h") -> None:
    """Make links at which files of a run can be read for a while, without a key.

    \b
    Examples:
      faultline runs link last
      curl -O "$(faultline runs link last model.json --for 30min)"
    """
    show_links(session, find_run(session.client, run).id, names, life)


def show_links(session: Session, run_id: UUID, names: list[str] | None, life: str) -> None:
    """Make and print links; of one file that was named the address alone, for a shell to use."""
    seconds = _life_s(life)
    wanted = chosen(session.client.artifacts(run_id), names, short_id(run_id))
    made = [(artifact, session.client.link(artifact.id, seconds)) for artifact in wanted]
    if session.as_json:
        links = [{**one.model_dump(mode="json"), **view.model_dump(mode="json")} for one, view in made]
        session.emit({"links": links})
        return
    alone = names is not None and len(made) == 1
    for artifact, view in made:
        if not alone:
            session.out.print(Text(safe(artifact.name), style="name"))
        session.out.print(Text(view.url, style="key"), soft_wrap=True)
    ends = made[0][1].expires_at
    what = "the link may read the file" if len(made) == 1 else "a link may read its file"
    session.err.print(Text(f"Whoever has {what} until {ends.astimezone():%H:%M} ({ahead(ends)}).", style="quiet"))


def _life_s(given: str) -> int:
    seconds = span_s(given)
    if seconds is None or not 0 < seconds <= _LONGEST_S:
        raise WrongArguments(f"--for {given!r} is no time of up to one day.", remedy="Write 30min, 2h or 1d.")
    return seconds

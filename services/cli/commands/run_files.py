"""`faultline runs artifacts`, `download`, `metrics`: what a run has left."""

from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from services.cli.arguments import WrongArguments
from services.cli.lookup import find_run
from services.cli.session import Session
from services.cli.ui.curve import curve
from services.cli.ui.listing import Listing
from services.cli.ui.text import number, plural, safe, short_id, size
from services.cli.ui.watch import all_metrics
from shared.contracts.views import ArtifactView, MetricPoint
from shared.errors import NotFound

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id, the beginning or end of it, or `last`.", show_default=False)
]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Files to fetch; default: all.")]
To = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to put them.")]
Name = Annotated[list[str] | None, typer.Option("--name", metavar="METRIC", help="Of these only (repeat).")]
_CURVES_ACROSS = 2


def artifacts(session: Session, run: Run) -> None:
    """List the files that a run made.

    Example: faultline runs artifacts last
    """
    found = session.client.artifacts(find_run(session.client, run).id)
    session.show(found, _table(found))


def download(session: Session, run: Run, names: Names = None, to: To = Path()) -> None:
    """Fetch files of a run, whole and checked by their SHA-256; a download that broke off goes on where it was.

    Example: faultline runs download last model.json --to results
    """
    found = find_run(session.client, run)
    wanted = chosen(session.client.artifacts(found.id), names, short_id(found.id))
    targets = [(artifact, target_of(to, artifact.name)) for artifact in wanted]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    quiet = session.as_json or not session.out.is_terminal
    with Progress(*columns, console=session.out, disable=quiet, transient=True) as bar:
        for artifact, target in targets:
            task = bar.add_task(safe(artifact.name), total=artifact.size_bytes)
            session.client.download(artifact, target, partial(_show, bar, task))
            bar.remove_task(task)
    documents = [{**one.model_dump(mode="json"), "path": str(target)} for one, target in targets]
    lines = [Text(safe(target)).append(f"  {size(one.size_bytes)}", style="quiet") for one, target in targets]
    session.show({"files": documents}, *lines)


def metrics(session: Session, run: Run, names: Name = None) -> None:
    """Show the metrics of a run as curves; under --json every point.

    Example: faultline runs metrics last --name train_loss
    """
    found = find_run(session.client, run)
    points = [point for point in all_metrics(session, found.id) if not names or point.name in names]
    known = {point.name for point in points}
    for name in names or ():
        if name not in known:
            raise NotFound(
                f"The run has no metric {name!r}.", remedy=f"`faultline runs metrics {short_id(found.id)}` shows all."
            )
    session.show(points, _curves(points, min(session.out.width, 100)))


def target_of(folder: Path, name: str) -> Path:
    """Where a file of that name goes. Raises `WrongArguments` for a name that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part == ".." or not part.isprintable() for part in parts):
        raise WrongArguments(f"A file named {name!r} is not written anywhere.", remedy="Fetch the others by name.")
    target = folder.joinpath(*parts)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise WrongArguments(f"{str(target)!r} leads out of the folder.", remedy="Choose another with --to.")
    return target


def _show(bar: Progress, task: TaskID, done: int) -> None:
    bar.update(task, completed=done)


def chosen(found: list[ArtifactView], names: list[str] | None, run: str) -> list[ArtifactView]:
    """The files of those names; of several attempts the newest. Without names all that are no checkpoints."""
    newest = {artifact.name: artifact for artifact in found if names or artifact.role == "artifact"}
    missing = [name for name in names or () if name not in newest]
    if missing or not newest:
        words = f"The run has no file {missing[0]!r}." if missing else "The run has left no files."
        raise NotFound(words, remedy=f"`faultline runs artifacts {run}` shows what there is.")
    return [newest[name] for name in names or newest]


def _table(found: list[ArtifactView]) -> RenderableType:
    columns = ("name", "role", "size", "attempt", "type", "sha256")
    table = Listing(*columns, right=("size", "attempt"), least=("sha256", "type", "attempt"))
    for artifact in found:
        table.add_row(
            Text(safe(artifact.name), style="name"),
            safe(artifact.role),
            size(artifact.size_bytes),
            str(artifact.attempt),
            Text(safe(artifact.content_type), style="quiet"),
            Text(safe(artifact.sha256[:12]), style="quiet"),
        )
    return table if found else Text("The run has left no files.", style="quiet")


def _curves(points: list[MetricPoint], width: int) -> RenderableType:
    series: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.value is not None:
            series.setdefault(point.name, []).append((point.step, point.value))
    if not series:
        return Text("The run has reported no metrics.", style="quiet")
    parts: list[RenderableType] = []
    for name, curve_of in series.items():
        values = [value for _, value in curve_of]
        words = f"last {number(values[-1])}  least {number(min(values))}  most {number(max(values))}"
        parts.append(curve(name, curve_of, min(width, 72)))
        parts.append(Padding(Text(f"{words}  {plural(len(values), 'point')}", style="quiet"), (0, 0, 1, 0)))
    return Group(*parts)

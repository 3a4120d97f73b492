"""`faultline batches create`, `faultline runs failures`: many runs at once, and what went wrong in the same way."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group as Together
from rich.console import RenderableType
from rich.text import Text

from services.cli.arguments import WrongArguments, build
from services.cli.commands.run_filter import Since, moment
from services.cli.lazy import Group
from services.cli.outcome import Wait, Watch, follow_up
from services.cli.sdk import RunFilter
from services.cli.session import Session, command
from services.cli.ui.tables import runs_table
from services.cli.ui.text import ago, plural, safe, short_id
from shared.contracts.actions import FailureGroup, FamilyRetried
from shared.contracts.batches import BATCH, BatchRequest

app = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False, help="Submit many runs as one.")
_MOST_BYTES = 8 << 20


@command(app, "list")
def list_batches(
    session: Session, limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20
) -> None:
    """List batches, newest first; `faultline runs list --parent RUN` lists the runs of one."""
    found = session.client.runs(RunFilter(kinds=[BATCH]), limit=limit)
    session.show(found, runs_table(found))


@command(app, "create")
def create_batch(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, or lines of JSON; `-` reads stdin.", show_default=False)
    ],
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="POLICY", help="all (default), any or best_effort.")
    ] = None,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Submit many runs, all or none, under one parent that ends by its policy.

    The file holds {"runs": [{"kind": ..., "spec": {...}}, ...], "policy": ..., "labels": {...}}, or one run a line.
    Policy all: the first run that does not succeed ends it; any: the first that succeeds does; best_effort: all are
    tried. Cancel, pause, resume and retry of the parent act on its runs.

    \b
    Examples:
      faultline batches create sweep.json --watch
      make-sweep | faultline batches create - --policy best_effort
    """
    document = read_batch(file)
    if policy is not None:
        document["policy"] = policy
    run = session.client.submit_batch(build(BatchRequest, **document))
    follow_up(session, run, wait=wait, watching=watch)


def read_batch(file: Path) -> dict[str, Any]:
    """The request in a file: one JSON document, or one run a line. Raises `WrongArguments`."""
    try:
        text = sys.stdin.read(_MOST_BYTES + 1) if str(file) == "-" else _text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArguments(f"{str(file)!r} cannot be read ({error}).", remedy="Name a file of JSON.") from error
    if len(text) > _MOST_BYTES:
        raise WrongArguments(f"{str(file)!r} is larger than {_MOST_BYTES >> 20} MiB.", remedy="Make several batches.")
    try:
        document = json.loads(text)
    except ValueError:
        document = {"runs": _lines(text, file)}
    if isinstance(document, list):
        document = {"runs": document}
    if not isinstance(document, dict):
        raise WrongArguments(f"{str(file)!r} holds no batch.", remedy='Write {"runs": [...]}, or one run a line.')
    return document


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.read(_MOST_BYTES + 1)


def _lines(text: str, file: Path) -> list[Any]:
    runs = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                runs.append(json.loads(line))
            except ValueError as error:
                raise WrongArguments(
                    f"{str(file)!r}, line {number}: {error}.", remedy="Correct it; --help shows the form."
                ) from error
    return runs


def failures(
    session: Session,
    since: Since = None,
    retry: Annotated[
        str | None, typer.Option("--retry", metavar="SIGNATURE", help="Retry every run of this family.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before retrying.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many families.")] = 20,
) -> None:
    """Show failed runs by family: what went wrong in the same way; retry a family together.

    \b
    Examples:
      faultline runs failures --since 1d
      faultline runs failures --retry 4f2a91c0d3e5b677
    """
    if retry is not None:
        session.confirm(f"Retry every run of the family {retry}?", yes=yes)
        retried = session.client.retry_family(retry)
        session.show(retried, _retried(retried))
        return
    found = session.client.failures(since=moment(since, "--since"), limit=limit)
    session.show(found, _families(found))


def _families(found: list[FailureGroup]) -> RenderableType:
    if not found:
        return Text("No run has failed.", style="good")
    parts: list[RenderableType] = []
    for family in found:
        head = Text.assemble((family.signature, "key"), f"  {plural(family.count, 'run')}")
        open_ = f"{family.not_retried} not retried" if family.not_retried else "all retried"
        kinds = ", ".join(map(safe, family.kinds))
        head.append(f"  {open_}, {safe(family.cause)}, {kinds}, last {ago(family.newest)}", style="quiet")
        runs = Text("  " + " ".join(short_id(run_id) for run_id in family.run_ids[:6]), style="quiet")
        parts += [head, Text(f"  {safe(family.message)}", style="bad"), runs, Text()]
    return Together(*parts[:-1])


def _retried(retried: FamilyRetried) -> RenderableType:
    lines = [Text(f"{plural(len(retried.run_ids), 'run')} made.")]
    lines += [Text(f"{short_id(one.run_id)} refused: {safe(one.reason)}", style="wait") for one in retried.refused]
    if retried.left:
        lines.append(Text(f"{plural(retried.left, 'run')} left: call it again.", style="wait"))
    return Together(*lines)

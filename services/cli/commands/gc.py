"""`faultline gc`: what is over, in counts and bytes; removed if asked. The collector is a module of the API's image."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import psutil
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from services.cli.session import Session
from services.cli.stack.control import running
from services.cli.stack.state import ROOT, StateFolder, state_folder
from services.cli.ui.listing import Listing
from services.cli.ui.text import ago, size
from shared.errors import FaultlineError

_MODULE = "services.api.gc"
_NEEDED = ("FAULTLINE_DATABASE_URL", "FAULTLINE_ARTIFACT_STORE_URL")


class ElsewhereError(FaultlineError):
    """No stack runs here, and the environment names no database and store: the platform is elsewhere."""

    exit_code = 3


def gc(
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Remove it; or, as is the default, only count it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before removing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, nothing else there.")] = False,
) -> None:
    """Count, or remove, what is over: old logs, events, uploads, deleted data, files that no row knows.

    It works on the stack of this machine, or on the database and store that the environment names. The reconciler
    does the same by itself every hour.

    \b
    Examples:
      faultline gc
      faultline gc --apply --yes
    """
    session = Session(as_json=as_json)
    how = "--apply" if apply else "--dry-run"
    environment = environment_of(state_folder(os.environ), how)
    if apply:
        session.confirm("Remove for good what `faultline gc --dry-run` counts?", yes=yes)
    argv = [sys.executable, "-m", _MODULE, how, "--json"]
    done = subprocess.run(argv, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False)
    report = _report(done)
    session.show(report, _table(report))


def environment_of(folder: StateFolder, how: str, environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The settings to collect by: of the stack that runs here, else our own. Raises `ElsewhereError`."""
    state = running(folder)
    api = next((part for part in state.parts if part.name == "api"), None) if state else None
    if api is not None and api.pid is not None:
        try:
            return psutil.Process(api.pid).environ()
        except psutil.Error as error:
            raise FaultlineError(
                "The settings of the running stack cannot be read.", remedy="Run it as the user who started the stack."
            ) from error
    if all(environment.get(name) for name in _NEEDED):
        return environment
    raise ElsewhereError(
        remedy="Start it with `faultline up`; or, on a cluster, run "
        f"`kubectl exec deploy/faultline-reconciler -- python -m {_MODULE} {how}`."
    )


def _report(done: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    """What the collector said. Raises `FaultlineError` with its words if it could not do its work."""
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        report = json.loads(last) if not done.returncode else None
    except ValueError:
        report = None
    if not isinstance(report, dict):
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise FaultlineError(f"The collector did not do its work: {words}", remedy="Correct that, then call it again.")
    return report


def _table(report: dict[str, object]) -> RenderableType:
    table = Listing("what", "count", "size", "oldest", right=("count", "size"), least=("oldest",))
    classes = report.get("classes")
    count = size_bytes = 0
    for name, freed in classes.items() if isinstance(classes, dict) else ():
        count, size_bytes = count + freed["count"], size_bytes + freed["size_bytes"]
        table.add_row(name, f"{freed['count']:,}", size(freed["size_bytes"]), Text(_oldest(freed["oldest"]), "quiet"))
    table.add_section()
    table.add_row(Text("all", "name"), f"{count:,}", size(size_bytes), "")
    dry = bool(report.get("dry_run"))
    end = "\nNothing was removed; `faultline gc --apply` removes it." if dry else "\nRemoved."
    return Group(table, Text(end, style="quiet"))


def _oldest(moment: str | None) -> str:
    return "" if moment is None else ago(datetime.fromisoformat(moment))

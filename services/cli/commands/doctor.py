"""`faultline doctor`."""

import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from services.cli import session as sessions
from services.cli.doctor.check import Check, Verdict
from services.cli.doctor.exam import Exam
from services.cli.doctor.machine import Probes
from services.cli.session import Session, with_session
from services.cli.stack.state import state_folder
from services.cli.ui.text import plural, safe

_STYLES = {Verdict.OK: "good", Verdict.WARN: "wait", Verdict.FAIL: "bad"}
_FAILED = 1
_WORD, _NAME = 4, 18
#: tests break the machine here
PROBES = Probes()


def _doctor(
    session: Session,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not well.")] = False,
) -> None:
    """Look at everything that must hold, and say what to do where it does not; exit code 1 if anything fails.

    This machine (disk, memory, GPU, settings), the local stack and why it did not start, and what is behind the API:
    versions, clocks, database, broker, store, workers, dispatcher, reconciler. With a key that is no operator's the
    last part is left out.

    \b
    Examples:
      faultline doctor
      faultline doctor --quiet --json
      faultline doctor --url https://faultline.example --key KEY
    """
    exam = Exam(session.url, session.key, state_folder(os.environ), PROBES, sessions.connect)
    found: list[Check] = []
    if session.as_json:
        found = list(exam.checks())
        shown = [asdict(check) for check in found if not quiet or check.verdict is not Verdict.OK]
        session.emit({"checks": shown, "healthy": not _failed(found)})
    else:
        place = ""
        for check in exam.checks():
            found.append(check)
            if quiet and check.verdict is Verdict.OK:
                continue
            if check.place != place:
                session.out.print(Text(f"{'' if not place else chr(10)}{check.place}", style="quiet"))
                place = check.place
            session.out.print(_line(check))
        session.out.print(_end(found))
    if _failed(found):
        raise typer.Exit(_FAILED)


def _line(check: Check) -> Table:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=_WORD + 2, no_wrap=True)
    row.add_column(width=_NAME, overflow="fold")
    row.add_column(overflow="fold")
    mark = Text(f"  {check.verdict.value}", style=_STYLES[check.verdict])
    row.add_row(mark, Text(safe(check.name), style="name"), safe(check.words))
    for line in check.details.splitlines():
        row.add_row("", "", Text(safe(line), style="quiet"))
    if check.fix:
        row.add_row("", Text("do", style="quiet"), safe(check.fix))
    return row


def _end(found: Iterable[Check]) -> Text:
    verdicts = [check.verdict for check in found]
    failed, warned = verdicts.count(Verdict.FAIL), verdicts.count(Verdict.WARN)
    if not failed and not warned:
        return Text(f"\nAll is well: {plural(len(verdicts), 'check')}.", style="good")
    parts = [f"{plural(failed, 'check')} failed" if failed else "", plural(warned, "warning") if warned else ""]
    return Text(f"\n{', '.join(part for part in parts if part)}.", style="bad" if failed else "wait")


def _failed(found: Iterable[Check]) -> bool:
    return any(check.verdict is Verdict.FAIL for check in found)


doctor = with_session(_doctor)

"""`make chaos`: the long campaign, with a bar, a table and `.faultline/chaos.json`."""

import argparse
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.chaos.campaign.run import LONG, Form, campaign
from tests.support.platform import ROOT


def main() -> int:
    """Exit status 1 if anything came to a wrong end."""
    words = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    words.add_argument("--runs", type=int, default=LONG["runs"])
    words.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="repeats one")
    words.add_argument("--fault-every", type=float, default=LONG["fault_every_s"], help="seconds, on average")
    words.add_argument("--report", type=Path, default=ROOT / ".faultline" / "chaos.json")
    words.add_argument("--keep", type=Path, help="a new folder for logs and journals, kept afterwards")
    asked = words.parse_args()
    form = replace(Form(seed=asked.seed, **LONG), runs=asked.runs, fault_every_s=asked.fault_every)  # type: ignore[arg-type]
    console = Console()
    console.print(f"{form.runs} runs, seed {form.seed}")
    columns = (TextColumn("ended"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    with (
        tempfile.TemporaryDirectory(prefix="faultline-chaos-") as temporary,
        Progress(*columns, TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar,
    ):
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        task = bar.add_task("starting", total=form.runs)

        def progress(accepted: int, ended: int, faults: int) -> None:
            bar.update(task, completed=ended, description=f"{accepted} accepted, {faults} faults")

        report = campaign(form, folder, progress)
    report.write(asked.report)
    report.show(console)
    console.print(f"written to {asked.report}")
    return 0 if report.verdict.right else 1


if __name__ == "__main__":
    sys.exit(main())

"""What the campaign says in the end: a table for people, JSON for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from shared.contracts.states import TERMINAL
from tests.chaos.campaign.adversary import Fault
from tests.chaos.campaign.verdict import Verdict
from tests.support.platform import Platform

#: Faults that take a run away from its attempt; only there is "until it was taken back" a meaningful time.
_LOSES_ATTEMPTS = ("worker killed", "pool child killed", "trainer killed", "worker frozen beyond its lease")


@dataclass(frozen=True)
class Line:
    """One sort of fault."""

    fault: str
    injected: int
    runs_hit: int
    recovered: int
    slowest_recovery_s: float | None


def lines_of(platform: Platform, faults: Sequence[Fault], wrong: set[str]) -> list[Line]:
    """Sum up. `wrong`: ids of runs that did not come to their right end."""
    events: dict[UUID, list[dict[str, Any]]] = {}
    for event in platform.rows(
        "SELECT run_id, attempt, extract(epoch FROM at) AS at, data->>'state' AS state FROM run_events "
        "WHERE type = 'state' ORDER BY run_id, seq"
    ):
        events.setdefault(event["run_id"], []).append(event)
    lines = []
    for name in dict.fromkeys(fault.name for fault in faults):
        ours = [fault for fault in faults if fault.name == name]
        hit = [(fault, run, attempt) for fault in ours for run, attempt in fault.hit]
        taken = [_taken_back_s(fault, attempt, events[run]) for fault, run, attempt in hit]
        times = [seconds for seconds in taken if seconds is not None]
        lines.append(
            Line(
                name,
                len(ours),
                len(hit),
                sum(str(run) not in wrong for _fault, run, _attempt in hit),
                round(max(times), 2) if times and name in _LOSES_ATTEMPTS else None,
            )
        )
    return sorted(lines, key=lambda line: -line.injected)


def _taken_back_s(fault: Fault, attempt: int, events: list[dict[str, Any]]) -> float | None:
    """From the fault until the run was queued anew or ended; None if the attempt simply came to its own end."""
    for event in events:
        if float(event["at"]) > fault.at and event["attempt"] >= attempt:
            lost = event["state"] == "queued" or (event["state"] in TERMINAL and event["state"] == "cancelled")
            return float(event["at"]) - fault.at if lost else None
    return None


@dataclass(frozen=True)
class Report:
    """One campaign."""

    seed: int
    runs: int
    seconds: float
    restarts: int
    attempts: int
    lines: list[Line]
    verdict: Verdict

    def write(self, path: Path) -> None:
        """As JSON."""
        body = {
            "seed": self.seed,
            "runs": self.runs,
            "seconds": round(self.seconds, 1),
            "restarts": self.restarts,
            "attempts": self.attempts,
            "faults": [vars(line) for line in self.lines],
            "wrong": self.verdict.counts(),
            "details": self.verdict.lines(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(body, indent=1) + "\n")

    def show(self, console: Console) -> None:
        """As a table."""
        injected = sum(line.injected for line in self.lines)
        table = Table(
            title=f"{self.runs} runs, {self.attempts} attempts, {injected} faults in {self.seconds:.0f} s, "
            f"{self.restarts} processes started again (seed {self.seed})"
        )
        table.add_column("fault")
        for name in ("injected", "runs hit", "recovered", "slowest recovery"):
            table.add_column(name, justify="right")
        for line in self.lines:
            slowest = "" if line.slowest_recovery_s is None else f"{line.slowest_recovery_s:.1f} s"
            table.add_row(line.fault, str(line.injected), str(line.runs_hit), str(line.recovered), slowest)
        console.print(table)
        counts = self.verdict.counts()
        console.print("   ".join(f"{name} {count}" for name, count in counts.items()))
        for wrong in self.verdict.lines()[:50]:
            console.print(f"  {wrong}", style="red", markup=False)

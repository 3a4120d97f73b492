"""Whether everything came to its right end: rows, events, files, journals and processes, each on its own word."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.contracts.states import TERMINAL, RunState
from tests.chaos.campaign.plan import Planned
from tests.support.platform import Platform


@dataclass
class Verdict:
    """What is wrong, by sort of wrong; all empty if all is well."""

    lost: list[str] = field(default_factory=list)  #: not in the state it must end in, or with a wrong result
    stuck: list[str] = field(default_factory=list)  #: not ended
    doubled: list[str] = field(default_factory=list)  #: an effect that counts twice
    gaps: list[str] = field(default_factory=list)  #: events that are missing or out of order
    leftovers: list[str] = field(default_factory=list)  #: files that belong to nothing
    orphans: list[str] = field(default_factory=list)  #: processes that outlive their owner

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not any(vars(self).values())

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(found) for name, found in vars(self).items()}

    def lines(self) -> list[str]:
        """Each thing that is wrong."""
        return [f"{name}: {line}" for name, found in vars(self).items() for line in found]


def judge(platform: Platform, planned: list[Planned], frozen: set[UUID]) -> Verdict:
    """Look at every run. `frozen`: runs whose body may have noted one late line that no fence can hold back."""
    verdict = Verdict()
    rows = {row["id"]: row for row in platform.rows("SELECT * FROM runs")}
    known = {run.run_id for run in planned}
    verdict.doubled += [f"run {run_id} was never asked for" for run_id in rows if run_id not in known]
    events: dict[UUID, list[dict[str, Any]]] = {}
    for event in platform.rows("SELECT * FROM run_events ORDER BY run_id, seq"):
        events.setdefault(event["run_id"], []).append(event)
    files: dict[UUID, list[dict[str, Any]]] = {}
    for file in platform.rows("SELECT * FROM artifacts"):
        files.setdefault(file["run_id"], []).append(file)
    for run in planned:
        row = rows.get(run.run_id) if run.run_id else None
        if row is None:
            verdict.lost.append(f"{run.journal} ({run.sort}) was never accepted, or its row is gone")
            continue
        name = f"{run.journal} {run.run_id} ({run.sort})"
        if row["state"] not in TERMINAL:
            verdict.stuck.append(f"{name} is {row['state']}, attempt {row['attempt']}")
            continue
        _look_at_end(verdict, name, run, row)
        _look_at_events(verdict, name, row, events[row["id"]])
        _look_at_files(verdict, name, row, files.get(row["id"], []))
        _look_at_journal(verdict, name, run, row, platform.journal(run.journal), row["id"] in frozen)
    verdict.leftovers += leftovers(platform)
    return verdict


def leftovers(platform: Platform) -> list[str]:
    """Files in the store without a row, and scratch that nobody works in."""
    store = platform.folder / "artifacts"
    known = {row["key"] for row in platform.rows("SELECT key FROM artifacts")}
    stored = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
    scratch = [f"scratch {path.name}" for path in (platform.folder / "work").glob("*")]
    return [key for key in stored if key not in known] + scratch


def _look_at_end(verdict: Verdict, name: str, run: Planned, row: dict[str, Any]) -> None:
    envelope = row["envelope"]
    if row["state"] != run.ends:
        verdict.lost.append(f"{name} is {row['state']}, must be {run.ends}: {envelope.get('error')}")
    elif run.ends == RunState.SUCCEEDED:
        result = envelope["result"]
        expected = (run.spec["steps"], run.spec.get("result_bytes", 0))
        if (result["steps"], len(result.get("padding", ""))) != expected or envelope["attempt"] != row["attempt"]:
            verdict.lost.append(f"{name} has a wrong result")


def _look_at_events(verdict: Verdict, name: str, row: dict[str, Any], events: list[dict[str, Any]]) -> None:
    if [event["seq"] for event in events] != list(range(1, row["event_seq"] + 1)):
        verdict.gaps.append(f"{name} has {len(events)} events, the last is {row['event_seq']}")
    attempts = [event["attempt"] for event in events]
    if attempts != sorted(attempts):
        verdict.doubled.append(f"{name}: an earlier attempt wrote after a later one")
    ends = [event["seq"] for event in events if event["type"] == "state" and event["data"]["state"] in TERMINAL]
    if len(ends) != 1:
        verdict.doubled.append(f"{name} ended {len(ends)} times")
    elif ends[0] != row["event_seq"]:
        verdict.doubled.append(f"{name} went on after its end")


def _look_at_files(verdict: Verdict, name: str, row: dict[str, Any], files: list[dict[str, Any]]) -> None:
    kept = [(file["name"], file["attempt"]) for file in files if file["role"] != "log"]
    expected = [("count.txt", row["attempt"])] if row["state"] == RunState.SUCCEEDED else []
    if kept != expected:
        verdict.doubled.append(f"{name} has files {kept}, not {expected}")


def _look_at_journal(
    verdict: Verdict, name: str, run: Planned, row: dict[str, Any], journal: Path, was_frozen: bool
) -> None:
    lines = [line.split() for line in journal.read_text().splitlines()] if journal.exists() else []
    marked = [(words[0], words[1:-1], int(words[-1].removeprefix("attempt="))) for words in lines]
    attempts = [attempt for _word, _rest, attempt in marked]
    if attempts != sorted(attempts) and not was_frozen:
        verdict.doubled.append(f"{name}: two attempts ran at once: {attempts}")
    steps = Counter((attempt, int(rest[0])) for word, rest, attempt in marked if word == "step")
    twice = [step for step, times in steps.items() if times > 1]
    if twice:
        verdict.doubled.append(f"{name}: steps done twice in one attempt: {twice}")
    if max(attempts, default=0) > row["attempt"]:
        verdict.doubled.append(f"{name}: an attempt ran that the row does not know")
    if row["state"] == RunState.SUCCEEDED:
        if {step for _attempt, step in steps} != set(range(run.spec["steps"])):
            verdict.lost.append(f"{name}: steps are missing in its journal")
        if [attempt for word, _rest, attempt in marked if word == "end"].count(row["attempt"]) != 1:
            verdict.doubled.append(f"{name}: its last attempt did not end once")

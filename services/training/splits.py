"""Divides the records of a dataset into train, validation and test. Pure: called by `training.py`, opens no file.

A record is never cut between training and test. Groups (units, records, or the values of a label) are held out
whole; a fault that exists on one physical unit only gives some of its records (time-disjoint blocks) to the test
side instead, and the report says that this unit is on both sides.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shared.contracts.results import SplitReport
from shared.contracts.specs import SplitSpec
from shared.errors import UserError
from shared.signals.dataset import RecordInfo

#: A whole unit or record is set aside for validation where it is at most this many times the share that was asked for;
#: where it is more, as one of two bearings would be, learning from it is worth more than validating by it.
SHARE_TOLERANCE = 1.5

Badge = Literal["unseen units", "some shared units", "same units"]


@dataclass(frozen=True)
class Split:
    """Record ids per side. Those of `tail` train too, except for their last `tail_fraction`, which validates."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    tail: tuple[str, ...]
    tail_fraction: float
    report: SplitReport


def split_records(records: Sequence[RecordInfo], spec: SplitSpec, seed: int) -> Split:
    """Divide `records` as `spec` says; the same arguments give the same split.

    Raises `UserError` for an unknown label or value and for a fault that cannot stand on both sides."""
    by_fault = _by_fault(records)
    if len(by_fault) < 2:
        raise UserError(
            "The dataset has one fault only: there is nothing to tell apart.",
            remedy="Use a dataset with at least two faults.",
        )
    groups = _groups(records, spec.by)
    held_out = _held_out(by_fault, groups, spec, seed)
    test, notes = _test_side(by_fault, groups, held_out, spec, seed)
    rest = [record for record in records if record.id not in test]
    validation, tail, more_notes = _validation_side(rest, spec.validation_fraction, seed)
    return Split(
        train=tuple(record.id for record in rest if record.id not in validation),
        validation=tuple(record.id for record in rest if record.id in validation),
        test=tuple(record.id for record in records if record.id in test),
        tail=tuple(record.id for record in rest if record.id in tail),
        tail_fraction=spec.validation_fraction,
        report=_report(records, spec.by, sorted(held_out), validation, test, notes + more_notes),
    )


def without_training(split: Split, records: Sequence[RecordInfo]) -> Split:
    """The same validation and test for a training that learns from no real record; `train` keeps those of `tail` only,
    whose end validates."""
    seen = {*split.validation, *split.tail}
    seen_units = {record.unit for record in records if record.id in seen}
    test_units = {record.unit for record in records if record.id in split.test}
    shared = sorted(test_units & seen_units)
    note = f"No real record was trained on: the {split.report.train_records} of the training side were left out."
    report = split.report.model_copy(
        update={
            "train_records": 0,
            "train_units": len(seen_units),
            "shared_units": shared,
            "badge": badge(test_units, shared),
            "notes": [*split.report.notes, note],
        }
    )
    return replace(split, train=split.tail, report=report)


def badge(test_units: Iterable[str], shared_units: Iterable[str]) -> Badge:
    """What may be claimed of a test side whose units are `test_units`, of which `shared_units` were trained on."""
    shared = set(shared_units)
    if not shared:
        return "unseen units"
    return "same units" if shared >= set(test_units) else "some shared units"


def _groups(records: Sequence[RecordInfo], by: str) -> dict[str, str | None]:
    """Record id -> its group; None where the record has no such label."""
    if by == "unit":
        return {record.id: record.unit for record in records}
    if by == "record":
        return {record.id: record.id for record in records}
    labels = sorted({label for record in records for label in record.labels})
    if by not in labels:
        raise UserError(
            f"The dataset has no label {by!r} to split by.",
            remedy=f"Split by one of: {', '.join(['unit', 'record', *labels])}.",
        )
    return {record.id: record.labels.get(by) or None for record in records}


def _held_out(
    by_fault: Mapping[str, list[RecordInfo]], groups: Mapping[str, str | None], spec: SplitSpec, seed: int
) -> set[str]:
    existing = sorted({group for group in groups.values() if group is not None})
    if spec.held_out is None:
        of_fault = {fault: {groups[record.id] for record in members} for fault, members in by_fault.items()}
        present = {fault: {group for group in names if group is not None} for fault, names in of_fault.items()}
        return _draw(present, spec.test_fraction, f"{seed}:test")
    unknown = sorted(set(spec.held_out) - set(existing))
    if unknown:
        shown = ", ".join(existing[:40]) + (", ..." if len(existing) > 40 else "")
        raise UserError(
            f"No record has {spec.by} {', '.join(map(repr, unknown))}.",
            remedy=f"Hold out some of the values that exist: {shown}.",
        )
    return set(spec.held_out)


def _test_side(
    by_fault: Mapping[str, list[RecordInfo]],
    groups: Mapping[str, str | None],
    held_out: set[str],
    spec: SplitSpec,
    seed: int,
) -> tuple[set[str], list[str]]:
    """Ids of the test records, and notes on faults that could not follow the groups."""
    test: set[str] = set()
    notes: list[str] = []
    one_sided: list[str] = []
    for fault, members in by_fault.items():
        ids = {record.id for record in members if groups[record.id] in held_out}
        if 0 < len(ids) < len(members):
            test |= ids
        else:
            one_sided.append(fault)
    followers = {fault: members for fault, members in by_fault.items() if fault not in one_sided}
    share = _held_out_share(followers, groups, held_out, spec.test_fraction, seed)
    for fault in one_sided:
        members = by_fault[fault]
        units = sorted({record.unit for record in members}, key=_order(f"{seed}:unlabelled"))
        if len(units) > 1 and all(groups[record.id] is None for record in members):
            chosen = _taken(units, share)
            test |= {record.id for record in members if record.unit in chosen}
            notes.append(f"{fault} has no {spec.by}: whole units of it were drawn for the test side.")
        elif len(units) == 1 and len(members) > 1:
            test |= _taken([record.id for record in members], share)
            notes.append(f"{fault} exists on one physical unit only: other records of this unit are on the test side.")
        else:
            raise _cannot_stand_on_both_sides(fault, members, groups, held_out, spec.by)
    return test, notes


def _cannot_stand_on_both_sides(
    fault: str, members: list[RecordInfo], groups: Mapping[str, str | None], held_out: set[str], by: str
) -> UserError:
    side = "training" if any(groups[record.id] in held_out for record in members) else "the test side"
    values = ", ".join(sorted({groups[record.id] or "(none)" for record in members}))
    return UserError(
        f"No record of {fault} would be left for {side}: its {len(members)} record(s) have {by} {values}.",
        remedy="Hold out other groups or split by another label; or import more units of this fault, or, if there is"
        " only one, import it with single_unit_blocks of 2 or more.",
    )


def _held_out_share(
    by_fault: Mapping[str, list[RecordInfo]],
    groups: Mapping[str, str | None],
    held_out: set[str],
    fraction: float,
    seed: int,
) -> tuple[set[int], int]:
    """Which of how many equal shares are held out, read from the fault with the most groups.

    A fault that cannot follow the groups gives the same share of its records, so that folds with different groups
    held out take different records of it."""
    longest: list[str] = []
    for fault in sorted(by_fault):
        names = sorted({group for record in by_fault[fault] if (group := groups[record.id]) is not None})
        longest = max(longest, names, key=len)
    if longest:
        return {index for index, name in enumerate(longest) if name in held_out}, len(longest)
    shares = max(2, round(1 / fraction))
    return {seed % shares}, shares


def _taken(items: list[str], share: tuple[set[int], int]) -> set[str]:
    """The held out part of `items` (two or more, in order): contiguous per share, never none, never all."""
    indices, shares = share
    taken = [item for place, item in enumerate(items) if place * shares // len(items) in indices]
    if not taken:  # fewer items than shares
        places = sorted({index * len(items) // shares for index in indices})
        taken = [items[place] for place in places]
    return set(taken[: len(items) - 1])


def _validation_side(rest: Sequence[RecordInfo], fraction: float, seed: int) -> tuple[set[str], set[str], list[str]]:
    """Ids of whole validation records, ids of records whose tail validates, and notes.

    Per fault: whole units; where they are too few, whole records; where these are too few, the tail of every record.
    Blocks that were cut from one record are few or many alike: one of them is set aside whole."""
    by_fault = _by_fault(rest)
    units = {fault: {record.unit for record in members} for fault, members in by_fault.items()}
    most = SHARE_TOLERANCE * fraction
    drawn = _draw(units, fraction, f"{seed}:validation", most)
    chosen = {record.id for record in rest if record.unit in drawn}
    without = [fault for fault, members in by_fault.items() if not chosen & {record.id for record in members}]
    records = {fault: {record.id for record in by_fault[fault]} for fault in without}
    blocks = {fault for fault in without if all(record.same_unit_block for record in by_fault[fault])}
    for faults, at_most in ((blocks, 1.0), (set(without) - blocks, most)):
        chosen |= _draw({fault: records[fault] for fault in faults}, fraction, f"{seed}:validation", at_most)
    by_tail = [fault for fault in without if not chosen & records[fault]]
    tail = {record.id for fault in by_tail for record in by_fault[fault]}
    notes = []
    if by_record := sorted(set(without) - set(by_tail)):
        notes.append(
            f"Validation of {', '.join(by_record)} uses other records of units that are trained on: it is optimistic."
        )
    if by_tail:
        notes.append(
            f"Validation of {', '.join(sorted(by_tail))} uses the end of records that are trained on: it is optimistic."
        )
    return chosen, tail, notes


def _draw(groups_of: Mapping[str, set[str]], fraction: float, key: str, most: float = 1.0) -> set[str]:
    """About `fraction` of the groups of each fault, at least one and never all.

    A fault of which one group is more than the share `most` asks for none. A group may belong to several faults."""
    chosen: set[str] = set()
    for fault in sorted(groups_of, key=lambda name: (len(groups_of[name]), name)):
        wanted = max(1, round(fraction * len(groups_of[fault]))) if most * len(groups_of[fault]) >= 1 else 0
        for group in sorted(groups_of[fault], key=_order(key)):
            if len(groups_of[fault] & chosen) >= wanted:
                break
            losers = [names for names in groups_of.values() if group in names]
            if all(names - chosen - {group} for names in losers):
                chosen.add(group)
    return chosen


def _order(key: str) -> Callable[[str], bytes]:
    """Sort key of a random order that another group coming or going does not change."""
    return lambda group: hashlib.sha256(f"{key}:{group}".encode()).digest()


def _by_fault(records: Iterable[RecordInfo]) -> dict[str, list[RecordInfo]]:
    found: dict[str, list[RecordInfo]] = {}
    for record in records:
        found.setdefault(record.fault, []).append(record)
    return dict(sorted(found.items()))


def _report(
    records: Sequence[RecordInfo],
    by: str,
    held_out: list[str],
    validation: set[str],
    test: set[str],
    notes: list[str],
) -> SplitReport:
    test_units = {record.unit for record in records if record.id in test}
    train_units = {record.unit for record in records if record.id not in test}
    shared = sorted(test_units & train_units)
    return SplitReport(
        by=by,
        held_out=held_out,
        train_records=len(records) - len(test) - len(validation),
        validation_records=len(validation),
        test_records=len(test),
        train_units=len(train_units),
        test_units=len(test_units),
        shared_units=shared,
        badge=badge(test_units, shared),
        notes=notes,
    )

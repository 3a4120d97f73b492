"""What training and test sides share, said plainly. Pure; called by `evaluation.py`."""

from collections.abc import Mapping, Sequence

from services.training.model_files import SplitFile
from services.training.splits import badge
from shared.contracts.results import SplitReport
from shared.signals.dataset import RecordInfo

SHOWN = 10


def pooled_report(records: Sequence[RecordInfo], splits: Sequence[SplitFile]) -> SplitReport:
    """One report over the folds. Test records add up; a record that trains in several folds counts once."""
    by_id = {record.id: record for record in records}
    train = {id for split in splits for id in split.train}
    validation = {id for split in splits for id in split.validation}
    test = {id for split in splits for id in split.test}
    test_units = {by_id[id].unit for id in test}
    shared = sorted({unit for split in splits for unit in _shared_units(by_id, split)})
    reports = [split.report for split in splits]
    return SplitReport(
        by=" + ".join(dict.fromkeys(report.by for report in reports)),
        held_out=[group for report in reports for group in report.held_out],
        train_records=len(train),
        validation_records=len(validation),
        test_records=len(test),
        train_units=len({by_id[id].unit for id in train | validation}),
        test_units=len(test_units),
        shared_units=shared,
        badge=badge(test_units, shared),
        notes=list(dict.fromkeys(note for report in reports for note in report.notes)),
    )


def leak_sentences(records: Sequence[RecordInfo], splits: Sequence[SplitFile]) -> list[str]:
    """One sentence per way in which a model could have known its test side; empty if there is none."""
    by_id = {record.id: record for record in records}
    leaks = []
    shared = sorted({unit for split in splits for unit in _shared_units(by_id, split)})
    if shared:
        tested = {by_id[id].unit for split in splits for id in split.test}
        were = "was" if len(shared) == 1 else "were"
        leaks.append(f"{len(shared)} of {len(tested)} test units {were} also trained on: {_listed(shared)}.")
    blocks = sorted(
        {
            by_id[id].fault
            for split in splits
            for id in split.test
            if by_id[id].same_unit_block and by_id[id].unit in _shared_units(by_id, split)
        }
    )
    if blocks:
        leaks.append(f"Blocks of one and the same recording are on both sides for: {_listed(blocks)}.")
    copies = sorted({id for split in splits for id in _copies(by_id, split)})
    if copies:
        leaks.append(f"Test records whose signal was also trained on, byte for byte: {_listed(copies)}.")
    return leaks


def _shared_units(by_id: Mapping[str, RecordInfo], split: SplitFile) -> set[str]:
    seen = {by_id[id].unit for id in (*split.train, *split.validation)}
    return {by_id[id].unit for id in split.test} & seen


def _copies(by_id: Mapping[str, RecordInfo], split: SplitFile) -> set[str]:
    seen = {by_id[id].sha256 for id in (*split.train, *split.validation)}
    return {id for id in split.test if by_id[id].sha256 in seen}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"

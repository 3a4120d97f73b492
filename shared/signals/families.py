"""The families of synthetic machines, and the numbering of their records.

Records are numbered fault by fault, unit by unit; number `i` depends on (seed, i) and its unit alone, so that whoever
makes them, in whatever portions, makes the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.contracts.specs import FAULTS, GenerateSpec
from shared.signals.journal import JOURNAL_CHANNELS, journal_record
from shared.signals.synthesis import ROLLING_CHANNELS, Synthetic, rolling_record


@dataclass(frozen=True)
class Family:
    """What is measured on its machines, and how a record is made: (spec, index, fault, unit) to the record."""

    channels: tuple[str, ...]
    record: Callable[[GenerateSpec, int, str, int], Synthetic]
    has_bearing: bool  #: whether the rolling-element geometry means anything


FAMILIES = {
    "rolling_element": Family(ROLLING_CHANNELS, rolling_record, has_bearing=True),
    "journal": Family(JOURNAL_CHANNELS, journal_record, has_bearing=False),
}


def places(spec: GenerateSpec) -> Iterator[tuple[int, str, int]]:
    """Index, fault and unit of every record of `spec`, in order."""
    index = 0
    for fault in dict.fromkeys(spec.faults or FAULTS[spec.family]):
        for unit in range(spec.units_per_fault):
            for _ in range(spec.records_per_unit):
                yield index, fault, unit
                index += 1

"""What a file name says of its record, by the rule of an import (RE2: it takes linear time whatever the rule)."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from shared.contracts.label_rule import compile_label_rule
from shared.contracts.specs import ImportSpec
from shared.errors import UserError

#: Names that a split gives a meaning of its own.
_RESERVED = frozenset({"unit", "record"})
_MAX_ID = 180
_LABEL_REMEDY = "Give label_rule a pattern whose named groups find the labels, e.g. (?P<fault>ir|or|ball)."


@dataclass(frozen=True)
class Named:
    """What was read from one file name."""

    id: str
    fault: str
    unit: str
    labels: dict[str, str]

    def with_id_not_in(self, taken: set[str]) -> "Named":
        """The same under a free id."""
        if self.id not in taken:
            return self
        number = next(n for n in range(2, len(taken) + 3) if f"{self.id}-{n}" not in taken)
        return replace(
            self, id=f"{self.id}-{number}", unit=f"{self.unit}-{number}" if self.unit == self.id else self.unit
        )


class LabelRule:
    """The rule of one import. Raises `ValueError` for one that a spec would have refused."""

    def __init__(self, spec: ImportSpec) -> None:
        self._pattern = compile_label_rule(spec.label_rule, spec.unit_labels)
        self._spec = spec

    @property
    def notes(self) -> list[str]:
        """What of the rule does less than one might think."""
        unused = sorted(_RESERVED & set(self._pattern.groupindex) - set(self._spec.unit_labels))
        return [
            f"The group {name!r} of label_rule is left out, its name has a meaning of its own; rename it to keep it as"
            " a label, or list it in unit_labels to let it name the physical unit."
            for name in unused
        ]

    def name(self, file_name: str) -> Named:
        """Read one file name, without its folders. Raises `UserError` where the rule finds no fault in it."""
        base = PurePosixPath(file_name.replace("\\", "/")).name
        match = self._pattern.search(base)
        if match is None:
            raise UserError("label_rule does not match this file name.", remedy=_LABEL_REMEDY)
        found = {name: value for name, value in match.groupdict().items() if value}
        if "fault" not in found:
            raise UserError("label_rule finds no fault in this file name.", remedy=_LABEL_REMEDY)
        fault = self._spec.fault_names.get(found["fault"], found["fault"])
        identity = _identity(base)
        unit = identity
        if self._spec.unit_labels:
            parts = [fault if label == "fault" else found[label] for label in self._spec.unit_labels if label in found]
            if not parts:
                raise UserError(
                    f"none of the unit_labels ({', '.join(self._spec.unit_labels)}) is in this file name, so its"
                    " physical unit is unknown.",
                    remedy="Add a label to unit_labels that every file has, e.g. fault.",
                )
            unit = "/".join(parts)
        labels = {name: value for name, value in found.items() if name != "fault" and name not in _RESERVED}
        return Named(identity, fault, unit, labels)


def _identity(base: str) -> str:
    """File name without ending, in the characters of a record id."""
    stem = base.rpartition(".")[0] or base
    cleaned = re.sub(r"[^A-Za-z0-9._=+@,-]+", "-", stem).lstrip("._=+@,-")[:_MAX_ID]
    return cleaned or "record"

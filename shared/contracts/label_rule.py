"""The rule that reads labels from a file name. RE2: a hostile pattern cannot take exponential time."""

from typing import Any

import re2


def compile_label_rule(pattern: str, unit_labels: list[str]) -> Any:
    """The compiled rule. Raises `ValueError` where it can never work."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as error:
        detail = error.args[0] if error.args else error
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise ValueError(
            f"label_rule is no RE2 pattern ({text}); RE2 has no look-around, no back-references"
        ) from error
    groups = set(compiled.groupindex)
    if "fault" not in groups:
        raise ValueError("label_rule has no group named fault; name one, e.g. (?P<fault>ir|or|ball)")
    unknown = sorted(set(unit_labels) - groups)
    if unknown:
        known = ", ".join(sorted(groups))
        raise ValueError(f"unit_labels names {', '.join(unknown)}, not among the groups of label_rule ({known})")
    return compiled

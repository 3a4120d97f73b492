"""Cells of a table that no spreadsheet takes for formulas."""

from typing import Any

import orjson

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """A value in a table: lists and truth as JSON, and text that would be calculated behind an apostrophe (OWASP)."""
    if value is None:
        return ""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value)
    words = orjson.dumps(value).decode() if isinstance(value, bool | list | dict) else str(value)
    return f"'{words}" if words.startswith(_FORMULA) else words

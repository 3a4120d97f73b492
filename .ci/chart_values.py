"""Writes the chart's `values.yaml` and `values.schema.json` from its knobs: `.venv/bin/python .ci/chart_values.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chart_knobs import Schema, chart

CHART = Path(__file__).parents[1] / "charts" / "faultline"
_HEAD = (
    "# Every value of the chart. Made by .ci/chart_values.py from .ci/chart_knobs.py; values.schema.json says the same."
)


def defaults(schema: Schema) -> Any:
    """The value of a knob, or of a block, where nobody sets it."""
    if schema["default"] == {} and "properties" in schema:
        return {name: defaults(inner) for name, inner in schema["properties"].items()}
    return schema["default"]


def _lines(schema: Schema, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for name, inner in schema["properties"].items():
        if depth == 0:
            yield ""
        yield f"{pad}# {inner['description']}"
        if inner["default"] == {} and "properties" in inner:
            yield f"{pad}{name}:"
            yield from _lines(inner, depth + 1)
        else:
            yield from _value(name, inner["default"], pad)


def _value(name: str, value: Any, pad: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{pad}{name}:"
        for key, inner in value.items():
            yield from _value(key, inner, f"{pad}  ")
    else:
        yield f"{pad}{name}: {json.dumps(value)}"


def files() -> dict[Path, str]:
    """What stands in the two files."""
    schema = chart()
    return {
        CHART / "values.yaml": "\n".join([_HEAD, *_lines(schema, 0), ""]),
        CHART / "values.schema.json": json.dumps(schema, indent=1) + "\n",
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, "utf-8")

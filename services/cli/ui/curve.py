"""Curves of metrics in braille dots: two dots across and four down per sign."""

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.ui.text import number, safe

Points = Sequence[tuple[int, float]]

_BLANK = 0x2800
#: bits of the eight dots of a braille sign, by column and row
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_LABEL = 6


def bounds(name: str, values: Sequence[float]) -> tuple[float, float]:
    """Range to draw. It starts at zero, and shares end at one, so that a live picture does not jump."""
    low, high = min(0.0, *values), max(values)
    share = low >= 0 and high <= 1 and ("accuracy" in name or "f1" in name or "recall" in name)
    return (0.0, 1.0) if share else (low, high if high > low else low + 1)


def braille(points: Points, low: float, high: float, width: int, height: int, span: int | None = None) -> list[str]:
    """Lines of signs, the topmost first. `span` steps fill the width; default: as many as there are."""
    across, down = 2 * width, 4 * height
    columns = _columns([value for _, value in points], across, span)
    cells = [[_BLANK] * width for _ in range(height)]
    previous: int | None = None
    for x, value in enumerate(columns):
        share = (min(max(value, low), high) - low) / (high - low)
        y = down - 1 - round(share * (down - 1))
        first, last = (y, y) if previous is None else (min(y, previous + 1), max(y, previous - 1))
        for dot in range(min(first, y), max(last, y) + 1):
            cells[dot // 4][x // 2] |= _DOTS[x % 2][dot % 4]
        previous = y
    return ["".join(map(chr, row)) for row in cells]


def curve(name: str, points: Points, width: int, height: int = 4, span: int | None = None) -> Group:
    """One metric: its name, its newest value and how it came there."""
    head = Text(safe(name).replace("_", " "), style="quiet")
    head.append(f"  {number(points[-1][1])}", style="name")
    low, high = bounds(name, [value for _, value in points])
    inner = max(width - _LABEL - 1, 4)
    rows = Table.grid()
    rows.add_column(width=_LABEL, justify="right", style="quiet", no_wrap=True)
    rows.add_column(style="quiet", no_wrap=True)
    rows.add_column(style="key", no_wrap=True)
    lines = braille(points, low, high, inner, height, span)
    for index, line in enumerate(lines):
        label = number(high) if index == 0 else number(low) if index == height - 1 else ""
        rows.add_row(label, "┤" if label else "│", line)
    return Group(head, rows)


def _columns(values: Sequence[float], across: int, span: int | None) -> list[float]:
    """One value per column of dots: means where there are more values than columns, lines in between where fewer."""
    count = len(values)
    share = 1.0 if not span or span <= count else count / span
    used = max(round(across * share), 1)
    if count >= used:
        edges = [round(index * count / used) for index in range(used + 1)]
        return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    columns = []
    for x in range(used):
        place = x * (count - 1) / max(used - 1, 1)
        left = min(int(place), count - 1)
        right = min(left + 1, count - 1)
        columns.append(values[left] + (values[right] - values[left]) * (place - left))
    return columns

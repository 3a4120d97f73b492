"""One calm table of all figures."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table

from tests.bench.figures import Result


def table(results: Sequence[Result]) -> Table:
    """Value, peer, ratio, what is asked, and whether it is reached."""
    shown = Table(box=SIMPLE, pad_edge=False, caption="medians; spread: least and most of the repeats")
    shown.add_column("figure")
    shown.add_column("value", justify="right", no_wrap=True)
    shown.add_column("peer")
    shown.add_column("its value", justify="right", no_wrap=True)
    shown.add_column("ratio", justify="right", no_wrap=True)
    shown.add_column("spread", justify="right", no_wrap=True)
    shown.add_column("asked", justify="right", no_wrap=True)
    shown.add_column("")
    for result in results:
        shown.add_row(
            result.name,
            f"{number(result.value)} {result.unit}",
            result.peer or "",
            number(result.peer_value),
            number(result.ratio),
            f"{number(result.spread[0])}–{number(result.spread[1])}",
            _asked(result),
            "" if result.ok is None else "[green]yes[/]" if result.ok else "[red]no[/]",
        )
    return shown


def _asked(result: Result) -> str:
    sign = "≥" if result.at_least else "≤"
    if result.limit is not None:
        return f"{sign} {number(result.limit)} {result.unit}"
    return f"{sign} {number(result.goal)} x" if result.goal is not None else ""


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"

"""Tables of many things, which a narrow terminal may show in part."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table

_GAP = 2
#: A column needs no more signs than this, unless said otherwise: longer cells are folded.
_ENOUGH = 12


class Listing(Table):
    """A table without lines between rows. Where not all columns fit, those named in `least` go, in that order."""

    def __init__(
        self, *columns: str, right: Sequence[str] = (), least: Sequence[str] = (), enough: int = _ENOUGH
    ) -> None:
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, _GAP, 0, 0))
        self._least = least
        self._enough = enough
        for column in columns:
            self.add_column(column, justify="right" if column in right else "left", overflow="fold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        shown = copy(self)
        for name in self._least:
            if sum(_need(column, self._enough) for column in shown.columns) <= options.max_width:
                break
            shown.columns = [column for column in shown.columns if column.header != name]
        shown.columns = [replace(column, _index=index) for index, column in enumerate(shown.columns)]
        yield from Table.__rich_console__(shown, console, options)


def _need(column: Column, enough: int) -> int:
    """Signs that make a column readable."""
    widest = max(cell_len(str(cell)) for cell in [column.header, *column.cells])
    return min(widest, enough) + _GAP + 1  # what stands between two columns of its box

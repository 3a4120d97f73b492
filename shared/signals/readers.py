"""Reads one record from a file that anyone may have sent: `.csv` here, `.mat` in `mat_file.py`.

Every fault of the file is a `UserError` that names the file and the place and says what to do. Nothing of the file is
executed or unpickled. What comes out is float32 [channel, sample], finite, not constant.
"""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import TooLarge, UserError
from shared.signals.mat_file import RawRecord, read_mat, remedy_for_name
from shared.signals.mat_file import checked_record as _checked_record

#: Text of one CSV file held in memory at once; reading it takes some eight times as much.
_MAX_CSV_BYTES = 256 << 20
#: Text whose lines are measured at once.
_BLOCK = 4 << 20
_DECIMALS = "A decimal comma is read only where semicolons separate the columns."
_NOT_NUMBER = re.compile(r"could not convert string (.*) to float64 at row (\d+), column (\d+)")


def read_record(path: Path, name: str, channels: Sequence[str], shaft_speed_variable: str | None) -> RawRecord:
    """Read the file at `path`, called `name` by its owner; the ending of `name` says how.

    `channels`: endings of variable names (`.mat`) or column names (`.csv`), in order.
    Raises `UserError` for anything that is not a clean record."""
    ending = name.lower().rpartition(".")[2]
    if ending == "mat":
        return read_mat(path, name, channels, shaft_speed_variable)
    if ending == "csv":
        return read_csv(path, name, channels)
    raise UserError(f"{name}: not a .mat or .csv file.", remedy="Export the record as .mat (-v7) or .csv.")


def read_csv(path: Path, name: str, channels: Sequence[str]) -> RawRecord:
    """Columns of a UTF-8 text file separated by comma, semicolon (then a decimal comma is understood) or tab.

    With a header line the columns are found by name, or by its ending; without one there must be one column per
    channel. A csv holds no shaft speed. Raises `UserError` with the line and column of the first fault."""
    lines_text = _text(path, name)
    first_line, _, rest = lines_text.partition("\n")
    separator = next((mark for mark in (";", "\t") if mark in first_line), ",")
    if separator == ";":
        first_line, rest = first_line.replace(",", "."), rest.replace(",", ".")
    cells = [cell.strip().strip('"').strip() for cell in first_line.split(separator)]
    has_header = not all(_is_number(cell) for cell in cells)
    columns = _columns(name, cells, channels, has_header)
    body = rest if has_header else f"{first_line}\n{rest}"
    if not body.strip():
        raise UserError(f"{name}: no values below the header.", remedy="Export the record again, with its samples.")
    body = body.replace('"', "")
    offset = 2 if has_header else 1
    data = body.encode()
    _check_widths(name, data, separator, len(cells), offset)
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="\n")
    try:
        values = np.loadtxt(lines, delimiter=separator, comments=None, usecols=columns, ndmin=2)
    except ValueError as error:
        raise _bad_cell(name, str(error), body, offset) from error
    return _checked_record(name, list(zip(channels, values.T, strict=True)), None, [])


def _text(path: Path, name: str) -> str:
    if path.stat().st_size > _MAX_CSV_BYTES:
        raise TooLarge(f"{name}: larger than {_MAX_CSV_BYTES >> 20} MiB.", remedy="Cut the record into several files.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: not UTF-8 text (byte {error.start}).", remedy="Save the file as CSV in UTF-8."
        ) from error
    if not text.strip():
        raise UserError(f"{name}: the file is empty.", remedy="Export the record again, with its samples.")
    if "\0" in text:
        raise UserError(f"{name}: binary zeros in the text.", remedy="Save the file as CSV in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(name: str, cells: list[str], channels: Sequence[str], has_header: bool) -> list[int]:
    """Index of each channel's column."""
    if not has_header:
        if len(cells) != len(channels):
            raise UserError(
                f"{name}: {len(cells)} columns without a header for {len(channels)} channels.",
                remedy=f"Add a header line with the column names, or name one channel per column. {_DECIMALS}",
            )
        return list(range(len(cells)))
    columns = []
    for channel in channels:
        exact = [i for i, cell in enumerate(cells) if cell == channel]
        found = exact or [i for i, cell in enumerate(cells) if cell.endswith(channel)]
        if len(found) != 1:
            raise UserError(
                f"{name}: {len(found)} columns are named {channel!r}.", remedy=remedy_for_name(cells, "columns")
            )
        columns.append(found[0])
    return columns


def _check_widths(name: str, body: bytes, separator: str, width: int, offset: int) -> None:
    """Refuse rows with another number of cells than the first line; blank lines are skipped later."""
    begin, line = 0, offset
    while begin < len(body):
        end = body.rfind(b"\n", begin, begin + _BLOCK) + 1 or body.find(b"\n", begin) + 1 or len(body)
        data: NDArray[np.uint8] = np.frombuffer(body[begin:end].removesuffix(b"\n") + b"\n", dtype=np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        separators = np.diff(np.cumsum(data == ord(separator), dtype=np.int32)[ends], prepend=0)
        lengths = np.diff(ends, prepend=-1) - 1
        wrong = np.flatnonzero((separators != width - 1) & (lengths > 0))
        if len(wrong):
            first = int(wrong[0])
            raise UserError(
                f"{name}: line {line + first} has {separators[first] + 1} cells where the first line has {width}.",
                remedy=f"Export the record again; every line needs the same number of cells. {_DECIMALS}",
            )
        begin, line = end, line + len(ends)


def _bad_cell(name: str, problem: str, body: str, offset: int) -> UserError:
    remedy = f"Leave only numbers below one header line. {_DECIMALS}"
    match = _NOT_NUMBER.search(problem)
    if match is None:
        return UserError(f"{name}: {problem}", remedy=remedy)
    value, row, column = match[1][:40], int(match[2]), int(match[3])
    # numpy counts rows without the blank ones.
    filled = (i for i, line in enumerate(body.split("\n")) if line)
    line = next((i for n, i in enumerate(filled) if n == row), row)
    return UserError(f"{name}: {value} in line {line + offset}, column {column} is not a number.", remedy=remedy)

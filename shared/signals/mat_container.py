"""The little of the MATLAB v5 file format that plain numeric variables need, read as if the file were hostile.

Own code because general readers were measured to crash the process on damaged files. Layout: MathWorks, "MAT-File
Format", chapter 1: a header of 128 bytes, then elements of a tag (type, bytes) and content; an element is a matrix, or
a zlib stream that holds one. Nothing is inflated or read beyond what a variable's own dimensions account for.
"""

import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from shared.errors import TooLarge, UserError

EXPORT_AGAIN = "Save the variables in MATLAB again: save(file, ..., '-v7')."
#: One variable, inflated: ten minutes of 100 kHz doubles are 480 MB.
MAX_BYTES = 1 << 30
_HEADER_BYTES = 128
#: Flags, dimensions and name of a variable take no more; MATLAB allows 63 characters of name.
_MAX_PREAMBLE = 4096
_MAX_VARIABLES = 10_000
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_CLASSES = (
    *("", "cell", "struct", "object", "char", "sparse"),
    *("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("function", "opaque"),
)
_FIRST_NUMERIC, _LAST_NUMERIC, _OPAQUE = 6, 15, 17
#: Storage types; a double variable of small integers is stored in a small type.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


@dataclass(frozen=True)
class Variable:
    """A variable found in a file, not loaded."""

    name: str
    shape: tuple[int, ...]
    kind: str  #: MATLAB class; "complex double", "logical uint8" where it is that
    position: int  #: of its content in the file
    length: int
    compressed: bool
    order: str  #: "<" or ">"

    @property
    def numeric(self) -> bool:
        """Whether it is a real, full array of numbers."""
        return self.kind in _CLASSES[_FIRST_NUMERIC : _LAST_NUMERIC + 1]

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join(map(str, self.shape))} {self.kind})"


class _Torn(Exception):
    """The content contradicts itself."""


def damaged(name: str) -> UserError:
    """The error for a file `name` that contradicts itself."""
    return UserError(f"{name}: damaged or torn MATLAB file.", remedy=f"Send the file again. {EXPORT_AGAIN}")


def list_variables(path: Path, name: str) -> list[Variable]:
    """The variables of the file at `path`, called `name` by its owner, in order.

    Raises `UserError` for another format, v7.3 included, and for a torn or damaged file."""
    size = path.stat().st_size
    variables: list[Variable] = []
    with path.open("rb") as source:
        order = _byte_order(source.read(_HEADER_BYTES), name)
        position = _HEADER_BYTES
        while position < size:
            source.seek(position)
            tag = source.read(8)
            if len(tag) < 8 or len(variables) >= _MAX_VARIABLES:
                raise damaged(name)
            kind, length = struct.unpack(f"{order}II", tag)
            position += 8
            if position + length > size:
                raise damaged(name)
            if kind in (_MATRIX, _COMPRESSED):
                try:
                    variables.append(_variable(source, position, length, kind == _COMPRESSED, order))
                except (_Torn, zlib.error, struct.error) as error:
                    raise damaged(name) from error
            position += length
    return variables


def load_numbers(path: Path, name: str, variable: Variable) -> NDArray[np.float64]:
    """Values of a numeric variable as float64, in column order. Raises `UserError` where it is damaged or too large."""
    count = prod(variable.shape)
    if count * 8 > MAX_BYTES:
        raise TooLarge(
            f"{name}: {variable} is larger than {MAX_BYTES >> 20} MiB.", remedy="Cut the record into several files."
        )
    with path.open("rb") as source:
        source.seek(variable.position)
        content = source.read(variable.length)
    try:
        if variable.compressed:
            content = zlib.decompressobj().decompress(content, _MAX_PREAMBLE + 8 * count)[8:]
        reader = _Elements(content, variable.order)
        reader.preamble()
        kind, data = reader.take()
    except (_Torn, zlib.error, struct.error) as error:
        raise damaged(name) from error
    stored = _STORED.get(kind)
    if stored is None or len(data) != count * int(stored[1]):
        raise damaged(name)
    return np.frombuffer(data, dtype=f"{variable.order}{stored}").astype(np.float64)


def _byte_order(header: bytes, name: str) -> str:
    if not header:
        raise UserError(f"{name}: the file is empty.", remedy="Export the record again, with its samples.")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    version = struct.unpack(f"{order}H", header[124:126])[0] if order else 0
    if version == 0x0200 or header.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise UserError(f"{name}: MATLAB v7.3 (HDF5) is not read.", remedy=EXPORT_AGAIN)
    if order is None or version != 0x0100:
        raise UserError(f"{name}: not a MATLAB v5 file.", remedy=EXPORT_AGAIN)
    return order


def _variable(source: BinaryIO, position: int, length: int, compressed: bool, order: str) -> Variable:
    """Read the front of a matrix element, of which `source` stands at the content."""
    front = source.read(min(length, _MAX_PREAMBLE))
    if compressed:
        front = zlib.decompressobj().decompress(front, _MAX_PREAMBLE)
        if len(front) < 8 or struct.unpack(f"{order}I", front[:4])[0] != _MATRIX:
            raise _Torn
        front = front[8:]
    kind, shape, name = _Elements(front, order).preamble()
    return Variable(name, shape, kind, position, length, compressed, order)


class _Elements:
    """Reads the elements inside a matrix one after the other."""

    def __init__(self, content: bytes, order: str) -> None:
        self._content = content
        self._order = order
        self._at = 0

    def take(self) -> tuple[int, memoryview]:
        """Type and data of the next element. A small one carries its size in the upper half of the type."""
        kind, length = struct.unpack_from(f"{self._order}II", self._content, self._at)
        start = self._at + 8
        if kind >> 16:
            kind, length, start = kind & 0xFFFF, kind >> 16, self._at + 4
            if length > 4:
                raise _Torn
            self._at += 8
        else:
            self._at = start + (length + 7) // 8 * 8
        if start + length > len(self._content):
            raise _Torn
        return kind, memoryview(self._content)[start : start + length]

    def preamble(self) -> tuple[str, tuple[int, ...], str]:
        """Kind, shape and name of the matrix."""
        kind, data = self.take()
        if kind != _UINT32 or len(data) != 8:
            raise _Torn
        flags = struct.unpack_from(f"{self._order}I", data)[0]
        number = flags & 0xFF
        if number == _OPAQUE:  # has no dimensions; nothing of it is of use
            return "opaque", (), "(opaque)"
        if not 0 < number < len(_CLASSES):
            raise _Torn
        kind, data = self.take()
        if kind != _INT32 or len(data) % 4 or len(data) < 8:
            raise _Torn
        shape = tuple(struct.unpack(f"{self._order}{len(data) // 4}i", data))
        if min(shape) < 0:
            raise _Torn
        kind, data = self.take()
        if kind != _INT8:
            raise _Torn
        prefix = ("complex " if flags & _COMPLEX else "") + ("logical " if flags & _LOGICAL else "")
        return prefix + _CLASSES[number], shape, bytes(data).decode("ascii", "replace")

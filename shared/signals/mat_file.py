"""Reads one record from a MATLAB v5 file, through scipy, after checks that keep a hostile file small and plain.

Before scipy opens it, the top-level elements are walked: a torn file, or one that inflates beyond the limit, ends here.
Only the variables that are asked for are loaded, and only plain numeric vectors: no struct, cell, object or sparse.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from shared.errors import TooLarge, UserError

#: Below this there is no spectrum to speak of.
MIN_SAMPLES = 1024
#: One variable, inflated: ten minutes of 100 kHz doubles are 480 MB.
_MAX_BYTES = 1 << 30
_HEADER_BYTES = 128
_COMPRESSED = 15
_CHUNK = 1 << 20
_NUMERIC = frozenset(("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"))
_EXPORT_AGAIN = "Save the variables in MATLAB again: save(file, ..., '-v7')."
#: What scipy raises on damaged content.
_DAMAGE = (MatReadError, ValueError, TypeError, KeyError, IndexError, OSError, EOFError, zlib.error, struct.error)


@dataclass(frozen=True)
class RawRecord:
    """What a file holds, before its sample rate is known."""

    signal_CL: NDArray[np.float32]
    shaft_speed_rpm: float | None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Variable:
    name: str
    shape: tuple[int, ...]
    kind: str

    def __str__(self) -> str:
        return f"{self.name} ({'x'.join(map(str, self.shape))} {self.kind})"


def read_mat(path: Path, name: str, channels: Sequence[str], shaft_speed_variable: str | None) -> RawRecord:
    """Read the variables whose names end in `channels`, and the speed from the one that ends in `shaft_speed_variable`.

    Where several variables fit, the one that carries the number of the file name is taken (`99_...mat`: `X099_...`).
    A missing speed is no error: `shaft_speed_rpm` is None. Raises `UserError` for anything else."""
    _check_container(path, name)
    try:
        variables = [_Variable(str(n), tuple(shape), str(kind)) for n, shape, kind in scipy.io.whosmat(path)]
    except _DAMAGE as error:
        raise _damaged(name) from error
    notes: list[str] = []
    chosen = [_choose(name, variables, channel, notes) for channel in channels]
    for variable in chosen:
        _check_vector(name, variable)
    speed = _choose_speed(name, variables, shaft_speed_variable, chosen[0].name.removesuffix(channels[0]))
    wanted = [variable.name for variable in (*chosen, *([speed] if speed else []))]
    try:
        loaded = scipy.io.loadmat(path, variable_names=wanted, struct_as_record=True)
    except MemoryError as error:
        raise TooLarge(f"{name}: does not fit into memory.", remedy="Cut the record into several files.") from error
    except _DAMAGE as error:
        raise _damaged(name) from error
    arrays = [(variable.name, _numbers(name, variable.name, loaded)) for variable in chosen]
    speed_rpm = _speed_rpm(name, speed.name, _numbers(name, speed.name, loaded)) if speed else None
    return checked_record(name, arrays, speed_rpm, notes)


def checked_record(
    name: str, arrays: Sequence[tuple[str, NDArray[np.float64]]], speed_rpm: float | None, notes: list[str]
) -> RawRecord:
    """Join channels to float32 [channel, sample]. Raises `UserError` where short, unequal, not finite or flat."""
    lengths = {len(values) for _, values in arrays}
    if len(lengths) > 1:
        shown = ", ".join(f"{channel}: {len(values)}" for channel, values in arrays)
        raise UserError(f"{name}: the channels differ in length ({shown}).", remedy="Export channels of equal length.")
    if lengths.pop() < MIN_SAMPLES:
        raise UserError(
            f"{name}: {len(arrays[0][1])} samples; {MIN_SAMPLES} are the least that can be analysed.",
            remedy="Send a longer record.",
        )
    with np.errstate(over="ignore"):
        signal_CL = np.stack([values.astype(np.float32) for _, values in arrays])
    for (channel, _), signal_L in zip(arrays, signal_CL, strict=True):
        bad = np.flatnonzero(~np.isfinite(signal_L))
        if len(bad):
            raise UserError(
                f"{name}: {channel} is NaN or infinite at {len(bad)} samples, first at sample {bad[0]}.",
                remedy="Repair or cut out the gap, or send another record.",
            )
        if signal_L.min() == signal_L.max():
            raise UserError(
                f"{name}: {channel} is constant ({signal_L[0]:g}).",
                remedy="Check the sensor, or choose other channels.",
            )
    return RawRecord(signal_CL, speed_rpm, notes)


def remedy_for_name(names: Sequence[str], what: str) -> str:
    """Say what is there to choose from."""
    shown = ", ".join(str(name)[:80] for name in names[:20])
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"Set `channels` to endings that fit one each; the {what} are: {shown or 'none'}{more}."


def _damaged(name: str) -> UserError:
    return UserError(f"{name}: damaged or torn MATLAB file.", remedy=f"Send the file again. {_EXPORT_AGAIN}")


def _check_container(path: Path, name: str) -> None:
    """Version and top-level elements: each must lie inside the file and inflate to `_MAX_BYTES` at most."""
    with path.open("rb") as source:
        header = source.read(_HEADER_BYTES)
        if not header:
            raise UserError(f"{name}: the file is empty.", remedy="Export the record again, with its samples.")
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        version = struct.unpack(f"{order}H", header[124:126])[0] if order else 0
        if version == 0x0200 or header.startswith((b"MATLAB 7.3", b"\x89HDF")):
            raise UserError(f"{name}: MATLAB v7.3 (HDF5) is not read.", remedy=_EXPORT_AGAIN)
        if version != 0x0100:
            raise UserError(f"{name}: not a MATLAB v5 file.", remedy=_EXPORT_AGAIN)
        size = path.stat().st_size
        while (position := source.tell()) < size:
            tag = source.read(8)
            if len(tag) < 8:
                raise _damaged(name)
            kind, length = struct.unpack(f"{order}II", tag)
            if position + 8 + length > size:
                raise _damaged(name)
            if length > _MAX_BYTES or (kind == _COMPRESSED and _inflated_bytes(source, length, name) > _MAX_BYTES):
                raise TooLarge(
                    f"{name}: a variable is larger than {_MAX_BYTES >> 20} MiB.",
                    remedy="Cut the record into several files.",
                )
            source.seek(position + 8 + length)


def _inflated_bytes(source: BinaryIO, length: int, name: str) -> int:
    """Size of a compressed element, counted up to the limit in constant memory."""
    stream, inflated = zlib.decompressobj(), 0
    while length > 0 and inflated <= _MAX_BYTES:
        block = source.read(min(_CHUNK, length))
        if not block:
            break
        length -= len(block)
        try:
            while block and inflated <= _MAX_BYTES:
                inflated += len(stream.decompress(block, _CHUNK))
                block = stream.unconsumed_tail
        except zlib.error as error:
            raise _damaged(name) from error
    return inflated


def _choose(name: str, variables: list[_Variable], ending: str, notes: list[str]) -> _Variable:
    found = [variable for variable in variables if variable.name.endswith(ending)]
    if len(found) > 1:
        found = _of_file_number(name, found) or found
        if len(found) == 1:
            notes.append(f"{name}: several variables end in {ending!r}; {found[0].name} carries the file's number")
    if len(found) != 1:
        raise UserError(
            f"{name}: {len(found) or 'no'} variables end in {ending!r}.",
            remedy=remedy_for_name([str(variable) for variable in variables], "variables"),
        )
    return found[0]


def _of_file_number(name: str, variables: list[_Variable]) -> list[_Variable]:
    """Those whose first number is the first number of the file name."""
    number = re.search(r"[0-9]{1,18}", name)
    if number is None:
        return []
    first = [re.search(r"[0-9]{1,18}", variable.name) for variable in variables]
    return [v for v, match in zip(variables, first, strict=True) if match and int(match[0]) == int(number[0])]


def _choose_speed(name: str, variables: list[_Variable], ending: str | None, prefix: str) -> _Variable | None:
    """The speed that belongs to the chosen channel: same prefix, file number, or the only one there is."""
    if ending is None:
        return None
    found = [variable for variable in variables if variable.name.endswith(ending)]
    stem = prefix.rstrip("_")
    own = [variable for variable in found if variable.name.removesuffix(ending).rstrip("_") == stem]
    found = own or (_of_file_number(name, found) if len(found) > 1 else found)
    if len(found) != 1:
        return None
    if found[0].kind not in _NUMERIC or found[0].shape != (1, 1):
        raise UserError(
            f"{name}: the shaft speed {found[0]} is not one number.",
            remedy="Set shaft_speed_variable to null and give shaft_speed_rpm.",
        )
    return found[0]


def _speed_rpm(name: str, variable: str, values: NDArray[np.float64]) -> float:
    speed_rpm = float(values[0])
    if not 0 < speed_rpm <= 200_000:
        raise UserError(
            f"{name}: {variable} = {speed_rpm:g} is no shaft speed in rpm.",
            remedy="Set shaft_speed_variable to null and give shaft_speed_rpm.",
        )
    return speed_rpm


def _check_vector(name: str, variable: _Variable) -> None:
    if variable.kind not in _NUMERIC or len(variable.shape) != 2 or 1 not in variable.shape:
        raise UserError(
            f"{name}: {variable} is not a vector of real numbers.",
            remedy="Save each channel as one n x 1 variable of type double or single.",
        )
    if max(variable.shape) * 8 > _MAX_BYTES:
        raise TooLarge(f"{name}: {variable} is too long.", remedy="Cut the record into several files.")


def _numbers(name: str, variable: str, loaded: dict[str, object]) -> NDArray[np.float64]:
    values = loaded.get(variable)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise UserError(
            f"{name}: {variable} is not a vector of real numbers.",
            remedy="Save each channel as one n x 1 variable of type double or single.",
        )
    return np.asarray(values, dtype=np.float64).ravel()

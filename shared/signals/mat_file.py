"""Reads one record from a MATLAB v5 file: which variables are its channels and its speed, and whether they are sound.

Only the variables that are asked for are loaded, and only plain numeric vectors (see `mat_container.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import UserError
from shared.signals.mat_container import Variable, list_variables, load_numbers

#: Below this there is no spectrum to speak of.
MIN_SAMPLES = 1024


@dataclass(frozen=True)
class RawRecord:
    """What a file holds, before its sample rate is known."""

    signal_CL: NDArray[np.float32]
    shaft_speed_rpm: float | None
    notes: list[str] = field(default_factory=list)


def read_mat(path: Path, name: str, channels: Sequence[str], shaft_speed_variable: str | None) -> RawRecord:
    """Read the variables whose names end in `channels`, and the speed from the one that ends in `shaft_speed_variable`.

    Where several variables fit, the one that carries the number of the file name is taken (`99_...mat`: `X099_...`).
    A missing speed is no error: `shaft_speed_rpm` is None. Raises `UserError` for anything else."""
    variables = list_variables(path, name)
    notes: list[str] = []
    chosen = [_choose(name, variables, channel, notes) for channel in channels]
    for variable in chosen:
        _check_vector(name, variable)
    speed = _choose_speed(name, variables, shaft_speed_variable, chosen[0].name.removesuffix(channels[0]))
    arrays = [(variable.name, load_numbers(path, name, variable)) for variable in chosen]
    speed_rpm = _speed_rpm(name, speed.name, load_numbers(path, name, speed)) if speed else None
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
    with np.errstate(over="ignore", invalid="ignore"):
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


def _choose(name: str, variables: list[Variable], ending: str, notes: list[str]) -> Variable:
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


def _of_file_number(name: str, variables: list[Variable]) -> list[Variable]:
    """Those whose first number is the first number of the file name."""
    number = re.search(r"[0-9]{1,18}", name)
    if number is None:
        return []
    first = [re.search(r"[0-9]{1,18}", variable.name) for variable in variables]
    return [v for v, match in zip(variables, first, strict=True) if match and int(match[0]) == int(number[0])]


def _choose_speed(name: str, variables: list[Variable], ending: str | None, prefix: str) -> Variable | None:
    """The speed that belongs to the chosen channel: same prefix, file number, or the only one there is."""
    if ending is None:
        return None
    found = [variable for variable in variables if variable.name.endswith(ending)]
    stem = prefix.rstrip("_")
    own = [variable for variable in found if variable.name.removesuffix(ending).rstrip("_") == stem]
    found = own or (_of_file_number(name, found) if len(found) > 1 else found)
    if len(found) != 1:
        return None
    if not found[0].numeric or found[0].shape != (1, 1):
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


def _check_vector(name: str, variable: Variable) -> None:
    if not variable.numeric or len(variable.shape) != 2 or 1 not in variable.shape:
        raise UserError(
            f"{name}: {variable} is not a vector of real numbers.",
            remedy="Save each channel as one n x 1 variable of type double or single.",
        )

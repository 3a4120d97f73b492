"""Cuts records into windows and standardises each. Called by `training.py` and `evaluation.py`, read by the models.

Every window leaves here with mean 0 and standard deviation 1 per channel. Gain, mounting and distance of a sensor
differ between machines and, in laboratory data, often between faults: a model that could see the amplitude would
learn the measuring chain. The price is that a fault which shows in the level alone is not found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.errors import UserError
from shared.signals.dataset import RecordInfo

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

#: Below this standard deviation, in units of the source, a window is taken as silent and is not scaled up.
SILENT_STD = 1e-12


@dataclass(frozen=True)
class Piece:
    """A time span of one record, in samples: [start, stop)."""

    record: RecordInfo
    start: int
    stop: int


@dataclass(frozen=True)
class WindowSet:
    """Windows of equal length over signals that stay as they are; `batch_NCL` cuts on demand.

    Window `i` starts at sample `start_N[i]` of `signals_CL[record_N[i]]`; `label_N[i]` is its place in `faults`."""

    records: tuple[RecordInfo, ...]
    signals_CL: tuple[Float32, ...]
    faults: tuple[str, ...]
    samples: int
    sample_rate_hz: float
    record_N: Int64
    start_N: Int64
    label_N: Int64

    def __len__(self) -> int:
        return len(self.start_N)

    @property
    def channels(self) -> int:
        """Channels of every window."""
        return len(self.signals_CL[0])

    def only(self, index: int) -> "WindowSet":
        """One window by itself, with its record."""
        place = int(self.record_N[index])
        return replace(
            self,
            records=(self.records[place],),
            signals_CL=(self.signals_CL[place],),
            record_N=np.zeros(1, dtype=np.int64),
            start_N=self.start_N[index : index + 1],
            label_N=self.label_N[index : index + 1],
        )

    def raw_NCL(self, indices: Int64) -> Float32:
        """Windows as measured, float32 [window, channel, sample]."""
        windows_NCL = np.empty((len(indices), self.channels, self.samples), dtype=np.float32)
        for row, index in enumerate(indices):
            start = self.start_N[index]
            windows_NCL[row] = self.signals_CL[self.record_N[index]][:, start : start + self.samples]
        return windows_NCL

    def batch_NCL(self, indices: Int64) -> Float32:
        """Standardised windows, float32 [window, channel, sample]."""
        return standardised(self.raw_NCL(indices))

    def batches(self, size: int) -> Iterator[Int64]:
        """Indices of all windows in order, `size` at a time."""
        for first in range(0, len(self), size):
            yield np.arange(first, min(first + size, len(self)))

    def balanced_weight_N(self) -> NDArray[np.float64]:
        """Weight per window that gives every fault the same total; the mean weight is 1."""
        counts_K = np.bincount(self.label_N, minlength=len(self.faults))
        present = np.count_nonzero(counts_K)
        return np.asarray(len(self) / (present * counts_K[self.label_N]), dtype=np.float64)


def standardised(windows_NCL: Float32) -> Float32:
    """Mean 0 and standard deviation 1 for each window and channel; a silent window becomes zeros."""
    centred_NCL = windows_NCL - windows_NCL.mean(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
    std_NC1 = centred_NCL.std(axis=-1, keepdims=True, dtype=np.float64)
    return np.asarray(centred_NCL / np.where(std_NC1 > SILENT_STD, std_NC1, np.inf), dtype=np.float32)


def window_samples(window_s: float, sample_rate_hz: float) -> int:
    """Samples of a window. Raises `UserError` for one too short to hold a vibration (64 samples)."""
    samples = round(window_s * sample_rate_hz)
    if samples < 64:
        raise UserError(
            f"A window of {window_s} s holds only {samples} samples at {sample_rate_hz:g} Hz.",
            remedy=f"Use window_s of at least {64 / sample_rate_hz:g}.",
        )
    return samples


def one_sample_rate_hz(records: Sequence[RecordInfo]) -> float:
    """The sampling rate of all `records`. Raises `UserError` if they differ."""
    rates_hz = sorted({record.sample_rate_hz for record in records})
    if len(rates_hz) != 1:
        raise UserError(
            f"The records have several sampling rates: {', '.join(f'{rate:g}' for rate in rates_hz)} Hz.",
            remedy="Import them with target_sample_rate_hz, so that all have the same.",
        )
    return rates_hz[0]


def cut(
    pieces: Sequence[Piece],
    signal_CL: Callable[[RecordInfo], Float32],
    faults: Sequence[str],
    samples: int,
    overlap: float = 0.0,
) -> WindowSet:
    """Windows of `samples` samples over `pieces`; each shares `overlap` of itself with the next, within its piece.

    Raises `UserError` for a piece shorter than one window: a record must not vanish unnoticed."""
    hop = max(1, round(samples * (1 - overlap)))
    starts: list[Int64] = []
    for piece in pieces:
        if piece.stop - piece.start < samples:
            raise UserError(
                f"Record {piece.record.id!r} gives {piece.stop - piece.start} samples to this side of the split,"
                f" less than one window ({samples}).",
                remedy="Use a shorter window_s, longer records, or fewer single_unit_blocks at import.",
            )
        starts.append(np.arange(piece.start, piece.stop - samples + 1, hop, dtype=np.int64))
    counts = [len(start) for start in starts]
    place = {fault: index for index, fault in enumerate(faults)}
    labels = np.array([place[piece.record.fault] for piece in pieces], dtype=np.int64)
    return WindowSet(
        records=tuple(piece.record for piece in pieces),
        signals_CL=tuple(signal_CL(piece.record) for piece in pieces),
        faults=tuple(faults),
        samples=samples,
        sample_rate_hz=pieces[0].record.sample_rate_hz,
        record_N=np.repeat(np.arange(len(pieces), dtype=np.int64), counts),
        start_N=np.concatenate(starts),
        label_N=np.repeat(labels, counts),
    )


def whole(record: RecordInfo) -> Piece:
    """All of a record."""
    return Piece(record, 0, record.samples)


def head_and_tail(record: RecordInfo, tail_fraction: float, samples: int) -> tuple[Piece, Piece]:
    """A record in two time-disjoint pieces; the tail holds about `tail_fraction` and at least one window."""
    tail = max(samples, round(record.samples * tail_fraction))
    return Piece(record, 0, record.samples - tail), Piece(record, record.samples - tail, record.samples)

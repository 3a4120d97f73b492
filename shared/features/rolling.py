"""Features of rolling bearings that carry over to bearings never seen: how clear the fault rates are in the envelope.

Nothing here depends on the unit or gain of the signal. Lines are looked for at the kinematic rates of the bearing at
its speed (shared/signals/bearing.py), in the spectrum of the squared envelope of five demodulation bands, as the
logarithm of the highest bin within the slip over the median around it (Randall and Antoni, MSSP 25, 2011, section 5).
What differs from bearing to bearing, the band that its structure answers in, is taken out by the maximum and the mean
over the bands.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from shared.contracts.specs import BearingGeometry
from shared.features.classic import Array, as_windows_NL
from shared.signals.bearing import FaultRates, fault_rates

#: Demodulation bands as shares of the Nyquist frequency: nearly all, and quarters. Shaft lines lie below, the roll-off
#: of the anti-aliasing filter (which tells the recorder, not the fault) above.
_BANDS = ((0.04, 0.94), (0.04, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.94))
#: The energy bands are twelfths of the Nyquist frequency without the last, again for the roll-off.
_ENERGY_BANDS, _ENERGY_PARTS = 11, 12
_HARMONICS = 3
_SLIP = 0.02
#: The floor of a line is the median of the bins up to so far away, and of eight bins at least.
_FLOOR_HZ = 15.0
_RATES = ("outer", "inner", "ball", "spin", "cage", "shaft")
_BLOCK_SAMPLES = 1 << 18
_TINY = 1e-9

_LINE_NAMES = (
    *(f"{rate}_{what}" for rate in _RATES for what in ("snr", "harmonics_snr", "depth")),
    "inner_sidebands_snr",
    "ball_sidebands_snr",
)
_CONTRASTS = (("outer", "inner"), ("outer", "ball"), ("inner", "ball"))

BAND_NAMES = tuple(f"band_energy_{i}" for i in range(_ENERGY_BANDS)) + tuple(
    f"band_kurtosis_{i}" for i in range(len(_BANDS))
)
LINE_NAMES = tuple(
    f"{over}_{name}"
    for over in ("max", "mean")
    for name in (*_LINE_NAMES, *(f"{first}_over_{second}" for first, second in _CONTRASTS))
)
#: log energy share of 11 bands, log kurtosis in 5 bands; per rate its line, its first three harmonics, and its depth.
ROLLING_NAMES = BAND_NAMES + LINE_NAMES


def band_features_NF(windows_NL: ArrayLike) -> Array:
    """Scale-free shape of the spectrum and impulsiveness per band, [window, feature] in the order of `BAND_NAMES`.

    Bands are shares of the Nyquist frequency. Raises `ValueError` as `features_NF` does."""
    return _in_blocks(as_windows_NL(windows_NL), None, 1.0)


def rolling_features_NF(
    windows_NL: ArrayLike, sample_rate_hz: float, bearing: BearingGeometry, shaft_speed_rpm: ArrayLike
) -> Array:
    """Bands and fault-rate lines, [window, feature] in the order of `ROLLING_NAMES`; natural logarithms.

    `shaft_speed_rpm`: one for all windows, or one per window [window]. A line that the window is too short to resolve,
    or that lies beyond the envelope spectrum, counts as 0. Raises `ValueError` as `features_NF` does, or for a speed
    that is not positive."""
    windows = as_windows_NL(windows_NL)
    speeds_N = np.broadcast_to(np.asarray(shaft_speed_rpm, dtype=np.float64), (len(windows),))
    features = np.empty((len(windows), len(ROLLING_NAMES)))
    for speed_rpm in np.unique(speeds_N):
        chosen = speeds_N == speed_rpm
        features[chosen] = _in_blocks(windows[chosen], fault_rates(bearing, float(speed_rpm)), sample_rate_hz)
    return features


def _in_blocks(windows_NL: NDArray[Any], rates: FaultRates | None, sample_rate_hz: float) -> Array:
    rows = max(1, _BLOCK_SAMPLES // windows_NL.shape[1])
    blocks = [
        _block_NF(windows_NL[first : first + rows].astype(np.float64), rates, sample_rate_hz)
        for first in range(0, len(windows_NL), rows)
    ]
    return np.concatenate(blocks) if blocks else np.empty((0, len(ROLLING_NAMES if rates else BAND_NAMES)))


def _block_NF(windows_NL: Array, rates: FaultRates | None, sample_rate_hz: float) -> Array:
    centred = windows_NL - windows_NL.mean(axis=1, keepdims=True)
    spectrum_NK = np.asarray(scipy.fft.rfft(centred, axis=1))
    envelopes = [_squared_envelope_NM(spectrum_NK, band) for band in _BANDS]
    kurtosis = np.stack([np.square(envelope).mean(axis=1) for envelope in envelopes], axis=1)
    parts = [_energy_shares(spectrum_NK), np.log(np.maximum(kurtosis, 1e-3))]
    if rates is not None:
        bin_hz = sample_rate_hz / windows_NL.shape[1]
        lines_BNF = np.stack([_lines_NF(envelope, bin_hz, rates) for envelope in envelopes])
        parts += [_with_contrasts(lines_BNF.max(axis=0)), _with_contrasts(lines_BNF.mean(axis=0))]
    return np.concatenate(parts, axis=1)


def _energy_shares(spectrum_NK: NDArray[np.complex128]) -> Array:
    """log of the share of the power in equal bands below the roll-off."""
    power = np.square(spectrum_NK.real) + np.square(spectrum_NK.imag)
    edges = np.arange(_ENERGY_BANDS + 1) * power.shape[1] // _ENERGY_PARTS
    energies = np.stack([power[:, first:last].sum(axis=1) for first, last in pairwise(edges)], axis=1)
    total = np.maximum(energies.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray(np.log(energies / total + _TINY))


def _squared_envelope_NM(spectrum_NK: NDArray[np.complex128], band: tuple[float, float]) -> Array:
    """Squared envelope of a band, mean 1, at twice the band's width (enough: it varies no faster than the band)."""
    first, last = (int(share * spectrum_NK.shape[1]) for share in band)
    inside = spectrum_NK[:, max(first, 1) : max(last, first + 2)]
    analytic = scipy.fft.ifft(inside, n=scipy.fft.next_fast_len(2 * inside.shape[1]), axis=1)
    power = np.square(analytic.real) + np.square(analytic.imag)
    mean = power.mean(axis=1, keepdims=True)
    return np.where(mean > 0, power / np.where(mean > 0, mean, 1.0), 1.0)


def _lines_NF(envelope_NM: Array, bin_hz: float, rates: FaultRates) -> Array:
    """One row per window in the order of `_LINE_NAMES`; a bin of the envelope spectrum is as wide as the window's."""
    depth_NK = np.abs(scipy.fft.rfft(envelope_NM - 1, axis=1)) / envelope_NM.shape[1]
    columns = []
    for rate_hz in (
        rates.outer_race_hz,
        rates.inner_race_hz,
        2 * rates.ball_spin_hz,  # a defect of a roller strikes both races in one turn
        rates.ball_spin_hz,
        rates.cage_hz,
        rates.shaft_hz,
    ):
        harmonics = [_line(depth_NK, bin_hz, order * rate_hz) for order in range(1, _HARMONICS + 1)]
        columns += [harmonics[0][0], np.mean([snr for snr, _ in harmonics], axis=0), harmonics[0][1]]
    for rate_hz, aside_hz in ((rates.inner_race_hz, rates.shaft_hz), (2 * rates.ball_spin_hz, rates.cage_hz)):
        sides = [_line(depth_NK, bin_hz, rate_hz + aside)[0] for aside in (-aside_hz, aside_hz)]
        columns.append(np.mean(sides, axis=0))
    return np.stack(columns, axis=1)


def _line(depth_NK: Array, bin_hz: float, rate_hz: float) -> tuple[Array, Array]:
    """log of peak over floor, and log of the peak (modulation depth), at a rate."""
    first = max(int(np.floor(rate_hz * (1 - _SLIP) / bin_hz)), 1)
    last = int(np.ceil(rate_hz * (1 + _SLIP) / bin_hz))
    if rate_hz < bin_hz or last >= depth_NK.shape[1]:
        none = np.zeros(len(depth_NK))
        return none, none
    around = max(8, int(_FLOOR_HZ / bin_hz))
    sides = [depth_NK[:, max(1, first - around) : first], depth_NK[:, last + 1 : last + 1 + around]]
    floor = np.median(np.concatenate(sides, axis=1), axis=1) if sides[0].size + sides[1].size else np.zeros(1)
    peak = depth_NK[:, first : last + 1].max(axis=1)
    snr = np.where(peak > _TINY, np.log(np.maximum(peak, _TINY) / np.maximum(floor, _TINY)), 0.0)
    return np.asarray(snr), np.log(np.maximum(peak, 1e-6))


def _with_contrasts(lines_NF: Array) -> Array:
    """Lines, and the differences between the harmonics of two fault rates: which of two faults it rather is."""
    harmonics = {rate: lines_NF[:, _LINE_NAMES.index(f"{rate}_harmonics_snr")] for rate in _RATES}
    contrasts = [harmonics[first] - harmonics[second] for first, second in _CONTRASTS]
    return np.concatenate([lines_NF, np.stack(contrasts, axis=1)], axis=1)

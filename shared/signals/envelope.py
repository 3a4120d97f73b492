"""Envelope analysis: which band to demodulate, its envelope spectrum, and how clear a line stands in it.

Sources: band choice by spectral kurtosis over a binary tree with 1/3 bands, after Antoni, "Fast computation of the
kurtogram", MSSP 21 (2007); envelope by the one-sided spectrum (Hilbert), Randall and Antoni, MSSP 25 (2011), section 5.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Real bearings turn 1-2 % beside their kinematic rates.
DEFAULT_SLIP = 0.02
#: A line this far above the median around it is clear. Noise alone reaches 5 about once in 10,000 looks; sidebands of
#: another fault reach 10.
CLEAR_SNR = 25.0
#: Narrower bands cannot pass the sidebands of a fault rate.
_MIN_BAND_HZ = 400.0
#: Below this share of Nyquist lie shaft lines and hum, not structural resonances.
_LOWEST_SHARE = 0.04
#: Above this share lies the roll-off of the anti-aliasing filter, where a single click is all there is.
_HIGHEST_SHARE = 0.94


@dataclass(frozen=True)
class Band:
    """A frequency band, and how impulsive the signal is in it."""

    low_hz: float
    high_hz: float
    spectral_kurtosis: float  #: E|y|^4 / E[|y|^2]^2 - 2 of the analytic signal: 0 for Gaussian noise


@dataclass(frozen=True)
class EnvelopeSpectrum:
    """One-sided amplitude spectrum of an envelope without its mean (Hann window)."""

    hz_K: Array  #: from 0, evenly spaced
    amplitude_K: Array

    @property
    def resolution_hz(self) -> float:
        """Distance of two bins."""
        return float(self.hz_K[1])


@dataclass(frozen=True)
class Line:
    """The highest bin near a rate, against the floor around it."""

    hz: float
    snr: float  #: amplitude over the median amplitude of the neighbourhood

    @property
    def clear(self) -> bool:
        """Whether it stands out beyond doubt."""
        return self.snr >= CLEAR_SNR


def candidate_bands_hz(sample_rate_hz: float) -> list[tuple[float, float]]:
    """The binary tree with 1/3 bands of the kurtogram, from the whole usable range down to `_MIN_BAND_HZ`."""
    nyquist_hz = sample_rate_hz / 2
    lowest_hz, highest_hz = _LOWEST_SHARE * nyquist_hz, _HIGHEST_SHARE * nyquist_hz
    bands = [(lowest_hz, highest_hz)]
    for parts in (2, 3, 4, 6, 8, 12, 16, 24, 32):
        width_hz = nyquist_hz / parts
        edges = [(max(i * width_hz, lowest_hz), min((i + 1) * width_hz, highest_hz)) for i in range(parts)]
        bands += [(low_hz, high_hz) for low_hz, high_hz in edges if high_hz - low_hz >= _MIN_BAND_HZ]
    return bands


def select_band(signal_L: ArrayLike, sample_rate_hz: float) -> Band:
    """The candidate band with the highest spectral kurtosis. Raises `ValueError` for a signal under 64 samples."""
    spectrum_K, length = _spectrum(signal_L)
    bands = [
        Band(low_hz, high_hz, _spectral_kurtosis(_analytic(spectrum_K, length, sample_rate_hz, low_hz, high_hz)))
        for low_hz, high_hz in candidate_bands_hz(sample_rate_hz)
    ]
    return max(bands, key=lambda band: band.spectral_kurtosis)


def envelope_spectrum(signal_L: ArrayLike, sample_rate_hz: float, band_hz: tuple[float, float]) -> EnvelopeSpectrum:
    """Envelope spectrum of the signal in `band_hz`, up to the width of the band.

    Raises `ValueError` for a band that is empty or beyond Nyquist, or a signal under 64 samples."""
    low_hz, high_hz = band_hz
    if not 0 <= low_hz < high_hz <= sample_rate_hz / 2:
        raise ValueError(f"band {band_hz} must lie within 0 and {sample_rate_hz / 2} Hz")
    spectrum_K, length = _spectrum(signal_L)
    analytic_M = _analytic(spectrum_K, length, sample_rate_hz, low_hz, high_hz)
    envelope_M = np.abs(analytic_M)
    envelope_M -= envelope_M.mean()
    points = len(envelope_M)
    window_M = np.hanning(points + 1)[:points]
    amplitude_K: Array = np.abs(scipy.fft.rfft(envelope_M * window_M)) * (2 / float(window_M.sum()))
    hz_K: Array = np.arange(len(amplitude_K), dtype=np.float64) * (sample_rate_hz / length)
    keep = hz_K <= high_hz - low_hz
    return EnvelopeSpectrum(hz_K[keep], amplitude_K[keep])


def line_at(spectrum: EnvelopeSpectrum, rate_hz: float, slip: float = DEFAULT_SLIP) -> Line:
    """The highest bin within `rate_hz` (1 +- slip), against the median of the bins up to 20 % (at least 8 bins) away.

    Raises `ValueError` where the spectrum does not reach or resolve the rate."""
    resolution_hz = spectrum.resolution_hz
    first = int(np.floor(rate_hz * (1 - slip) / resolution_hz))
    last = int(np.ceil(rate_hz * (1 + slip) / resolution_hz))
    if not isfinite(rate_hz) or first < 2 or last >= len(spectrum.amplitude_K):
        raise ValueError(f"a spectrum of {resolution_hz:.3g} Hz resolution does not show a line at {rate_hz:.3g} Hz")
    around = max(8, int(0.2 * rate_hz / resolution_hz))
    amplitude_K = spectrum.amplitude_K
    # The line's own Hann skirt (two bins) is no floor.
    floor = np.concatenate([amplitude_K[max(1, first - around) : first - 1], amplitude_K[last + 2 : last + around]])
    peak = first + int(amplitude_K[first : last + 1].argmax())
    level = float(np.median(floor)) if len(floor) else 0.0
    snr = float(amplitude_K[peak]) / level if level > 0 else 0.0
    return Line(hz=float(spectrum.hz_K[peak]), snr=snr)


def clearest_line(
    signal_L: ArrayLike, sample_rate_hz: float, rate_hz: float, slip: float = DEFAULT_SLIP
) -> tuple[Line, tuple[float, float]]:
    """The line at `rate_hz` in the candidate band that shows it best, and that band.

    It looks into some 40 bands: a maximum over so many looks exceeds `CLEAR_SNR` by chance far more often than one
    band does, so judge it against the same figure at other rates."""
    best: tuple[Line, tuple[float, float]] | None = None
    for band_hz in candidate_bands_hz(sample_rate_hz):
        if band_hz[1] - band_hz[0] < 1.5 * rate_hz:
            continue
        line = line_at(envelope_spectrum(signal_L, sample_rate_hz, band_hz), rate_hz, slip)
        if best is None or line.snr > best[0].snr:
            best = (line, band_hz)
    if best is None:
        raise ValueError(f"no band at {sample_rate_hz} Hz is wide enough for a line at {rate_hz} Hz")
    return best


def _spectrum(signal_L: ArrayLike) -> tuple[NDArray[np.complex128], int]:
    signal = np.asarray(signal_L, dtype=np.float64)
    if signal.ndim != 1 or len(signal) < 64:
        raise ValueError(f"a signal of 64 samples or more is needed, not {signal.shape}")
    return np.asarray(scipy.fft.rfft(signal - signal.mean())), len(signal)


def _analytic(
    spectrum_K: NDArray[np.complex128], length: int, sample_rate_hz: float, low_hz: float, high_hz: float
) -> NDArray[np.complex128]:
    """Analytic signal of one band, shifted to 0 Hz, sampled at twice the band's width: same modulus, fewer points."""
    first = max(1, int(np.ceil(low_hz * length / sample_rate_hz)))
    last = min(len(spectrum_K) - 1, int(np.floor(high_hz * length / sample_rate_hz)))
    inside = spectrum_K[first : last + 1]
    if len(inside) < 2:
        raise ValueError(f"band {low_hz}-{high_hz} Hz holds fewer than two bins")
    points = scipy.fft.next_fast_len(2 * len(inside))
    return np.asarray(scipy.fft.ifft(inside, n=points)) * (2 * points / length)


def _spectral_kurtosis(analytic_M: NDArray[np.complex128]) -> float:
    power = np.square(analytic_M.real) + np.square(analytic_M.imag)
    mean = float(power.mean())
    return float(np.square(power).mean()) / mean**2 - 2 if mean > 0 else 0.0

"""The 36 classic vibration features of a window: time 7, frequency 12, envelope 4, wavelet + cepstrum 7, bispectrum 6.

Pure numpy, vectorised over windows: `windows_NL` is [window, sample]; every function returns one row per window, the
same to the last bit whatever windows are beside it (hence sums, not matrix products).
Amplitude spectrum here: 2/L |rfft|, rectangular window, without the mean (bin 0). Units: features of amplitude are in
the unit of the signal, frequencies in Hz, entropies in nats. A constant window gives finite numbers, mostly 0.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pywt
import scipy.fft
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

TIME_NAMES = ("RMS", "Kurtosis", "Skewness", "CrestFactor", "ShapeFactor", "ImpulseFactor", "ClearanceFactor")
FREQUENCY_NAMES = (
    "DominantFreq",
    "SpectralCentroid",
    "SpectralEntropy",
    "LowBandEnergy",
    "MidBandEnergy",
    "HighBandEnergy",
    "VeryHighBandEnergy",
    "TotalSpectralPower",
    "SpectralStd",
    "Harmonic2X1X",
    "Harmonic3X1X",
    "SpectralPeakiness",
)
ENVELOPE_NAMES = ("EnvelopeRMS", "EnvelopeKurtosis", "EnvelopePeak", "ModulationFreq")
WAVELET_CEPSTRUM_NAMES = (
    "WaveletEnergyRatio",
    "WaveletKurtosis",
    "WaveletEnergy_D1",
    "WaveletEnergy_D3",
    "WaveletEnergy_D5",
    "CepstralPeakRatio",
    "QuefrencyCentroid",
)
BISPECTRUM_NAMES = (
    "BispectrumPeak",
    "BispectrumMean",
    "BispectrumEntropy",
    "PhaseCoupling",
    "NonlinearityIndex",
    "BispectrumPeakRatio",
)
FEATURE_NAMES = TIME_NAMES + FREQUENCY_NAMES + ENVELOPE_NAMES + WAVELET_CEPSTRUM_NAMES + BISPECTRUM_NAMES

#: Edges in Hz of the low, mid, high and very high band.
_BANDS_HZ = (0.0, 500.0, 2000.0, 5000.0, 10000.0)
#: Harmonic ratios refer to the dominant line, or to this one where that is slower than 10 Hz.
_FALLBACK_HZ = 60.0
_SEGMENT = 512  #: samples per bispectrum segment
_BISPECTRUM_BINS = 128  #: k < 128, so that 2k stays below the segment's Nyquist bin
_WAVELET_LEVELS = 5
#: Samples worked on at a time: about 40 MB of temporaries, small enough for a cache-friendly pass.
_BLOCK_SAMPLES = 1 << 18
_TINY = 1e-300


def features_NF(windows_NL: ArrayLike, sample_rate_hz: float) -> Array:
    """All 36 features, float64 [window, feature] in the order of `FEATURE_NAMES`.

    Raises `ValueError` unless `windows_NL` is two-dimensional with at least 16 samples a window, finite."""
    windows = as_windows_NL(windows_NL)
    rows = max(1, _BLOCK_SAMPLES // windows.shape[1])
    blocks = [
        _block_NF(windows[first : first + rows].astype(np.float64), sample_rate_hz)
        for first in range(0, len(windows), rows)
    ]
    return np.concatenate(blocks) if blocks else np.empty((0, len(FEATURE_NAMES)))


def as_windows_NL(windows_NL: ArrayLike) -> NDArray[Any]:
    """Check windows [window, sample]. Raises `ValueError` for another shape, fewer than 16 samples, NaN or Inf."""
    windows = np.asarray(windows_NL)
    if windows.ndim != 2 or windows.shape[1] < 16:
        raise ValueError(f"windows must be [window, sample] with 16 samples or more, not {windows.shape}")
    if not np.isfinite(windows).all():
        raise ValueError("windows hold NaN or infinite values")
    return windows


def _block_NF(windows_NL: Array, sample_rate_hz: float) -> Array:
    spectrum_NK = np.asarray(scipy.fft.rfft(_without_mean(windows_NL), axis=1))
    return np.concatenate(
        [
            _time(windows_NL),
            _frequency(spectrum_NK, windows_NL.shape[1], sample_rate_hz),
            _envelope(spectrum_NK, windows_NL.shape[1], sample_rate_hz),
            _wavelet(windows_NL),
            _cepstrum(spectrum_NK, windows_NL.shape[1], sample_rate_hz),
            _bispectrum(windows_NL),
        ],
        axis=1,
    )


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient, 0 where the denominator vanishes."""
    return np.where(denominator > _TINY, numerator / np.maximum(denominator, _TINY), 0.0)


def _entropy_nats(weights_NK: Array) -> Array:
    """Shannon entropy of weights normalised per row."""
    share = weights_NK / np.maximum(weights_NK.sum(axis=1, keepdims=True), _TINY)
    return np.asarray(-(share * np.log(np.maximum(share, _TINY))).sum(axis=1))


def _without_mean(values_NL: Array) -> Array:
    """Values minus their mean; exactly 0 where only rounding is left."""
    centred: Array = values_NL - values_NL.mean(axis=1, keepdims=True)
    constant = np.abs(centred).max(axis=1) <= 1e-12 * np.abs(values_NL).max(axis=1)
    centred[constant] = 0
    return centred


def _moments(values_NL: Array) -> tuple[Array, Array]:
    """Excess kurtosis and skewness (biased, as in scipy.stats), 0 for constant values."""
    centred = _without_mean(values_NL)
    std = np.sqrt(np.square(centred).mean(axis=1))
    scaled = centred / np.where(std > 0, std, 1.0)[:, None]
    square = scaled * scaled
    fourth = np.einsum("nl,nl->n", square, square) / values_NL.shape[1]
    third = np.einsum("nl,nl->n", square, scaled) / values_NL.shape[1]
    return np.where(std > 0, fourth - 3.0, 0.0), third


def _time(windows_NL: Array) -> Array:
    magnitude = np.abs(windows_NL)
    rms = np.sqrt(np.square(windows_NL).mean(axis=1))
    mean, peak = magnitude.mean(axis=1), magnitude.max(axis=1)
    kurtosis, skewness = _moments(windows_NL)
    root = np.sqrt(magnitude).mean(axis=1) ** 2
    return np.stack(
        [rms, kurtosis, skewness, _ratio(peak, rms), _ratio(rms, mean), _ratio(peak, mean), _ratio(peak, root)], axis=1
    )


def _frequency(spectrum_NK: NDArray[np.complex128], length: int, sample_rate_hz: float) -> Array:
    amplitude = np.abs(spectrum_NK[:, 1:]) * (2 / length)
    bin_hz = sample_rate_hz / length
    hz = np.arange(1, spectrum_NK.shape[1]) * bin_hz
    total = amplitude.sum(axis=1)
    dominant = hz[amplitude.argmax(axis=1)]
    centroid = _ratio((amplitude * hz).sum(axis=1), total)
    spread = np.sqrt(np.maximum(_ratio((amplitude * (hz * hz)).sum(axis=1), total) - centroid**2, 0))
    edges = np.searchsorted(hz, _BANDS_HZ)
    bands = [amplitude[:, first:last].sum(axis=1) for first, last in pairwise(edges)]
    base_hz = np.where(dominant > 10, dominant, _FALLBACK_HZ)
    first, second, third = (_line(amplitude, base_hz * order, bin_hz) for order in (1, 2, 3))
    peakiness = _ratio(amplitude.max(axis=1), amplitude.mean(axis=1))
    return np.stack(
        [
            dominant,
            centroid,
            _entropy_nats(amplitude),
            *bands,
            total,
            spread,
            _ratio(second, first),
            _ratio(third, first),
            peakiness,
        ],
        axis=1,
    )


def _line(amplitude_NK: Array, hz_N: Array, bin_hz: float) -> Array:
    """Amplitude at the bin nearest to a frequency per row, 0 beyond Nyquist. Column 0 is bin 1 (no mean)."""
    bins = np.rint(hz_N / bin_hz).astype(np.int64) - 1
    inside = (bins >= 0) & (bins < amplitude_NK.shape[1])
    values = amplitude_NK[np.arange(len(bins)), np.clip(bins, 0, amplitude_NK.shape[1] - 1)]
    return np.where(inside, values, 0.0)


def _envelope(spectrum_NK: NDArray[np.complex128], length: int, sample_rate_hz: float) -> Array:
    """Magnitude of the analytic signal (Hilbert), of the window without its mean."""
    analytic = np.zeros((len(spectrum_NK), length), dtype=np.complex128)
    analytic[:, 1 : spectrum_NK.shape[1]] = 2 * spectrum_NK[:, 1:]
    if length % 2 == 0:
        analytic[:, length // 2] /= 2
    envelope = np.abs(scipy.fft.ifft(analytic, axis=1, overwrite_x=True))
    modulation = np.abs(scipy.fft.rfft(envelope - envelope.mean(axis=1, keepdims=True), axis=1))
    hz = np.arange(modulation.shape[1]) * (sample_rate_hz / length)
    above = int(np.searchsorted(hz, 1.0, side="right"))
    rms = np.sqrt(np.square(envelope).mean(axis=1))
    return np.stack(
        [
            rms,
            _moments(envelope)[0],
            envelope.max(axis=1),
            hz[above + modulation[:, above:].argmax(axis=1)],
        ],
        axis=1,
    )


def _wavelet(windows_NL: Array) -> Array:
    """db4, five levels or as many as the window is long enough for; energies are sums of squared coefficients."""
    levels = min(_WAVELET_LEVELS, pywt.dwt_max_level(windows_NL.shape[1], "db4"))
    approximation, *coarse_to_fine = pywt.wavedec(windows_NL, "db4", level=max(levels, 1), axis=1)
    details = coarse_to_fine[::-1]
    energies = [np.square(detail).sum(axis=1) for detail in details]
    none = np.zeros(len(windows_NL))
    detail_energy = np.sum(energies, axis=0)
    kurtosis = np.mean([_moments(detail)[0] for detail in details], axis=0)
    first, third, fifth = (energies[level - 1] if level <= len(energies) else none for level in (1, 3, 5))
    whole = detail_energy + np.square(approximation).sum(axis=1)
    return np.stack([_ratio(detail_energy, whole), kurtosis, first, third, fifth], axis=1)


def _cepstrum(spectrum_NK: NDArray[np.complex128], length: int, sample_rate_hz: float) -> Array:
    """Real cepstrum of the log power, one-sided, quefrency 0 included; the centroid is in seconds."""
    log_power = np.log(np.square(spectrum_NK.real) + np.square(spectrum_NK.imag) + 1e-12)
    cepstrum = np.abs(scipy.fft.irfft(log_power, n=length, axis=1)[:, : length // 2])
    quefrency_s = np.arange(cepstrum.shape[1]) / sample_rate_hz
    total = cepstrum.sum(axis=1)
    peak_ratio = _ratio(cepstrum.max(axis=1), total / cepstrum.shape[1])
    return np.stack([peak_ratio, _ratio((cepstrum * quefrency_s).sum(axis=1), total)], axis=1)


def _bispectrum(windows_NL: Array) -> Array:
    """Diagonal slice B(k) = mean over segments of X(k)^2 conj(X(2k)); a window shorter than a segment is padded."""
    count = max(1, windows_NL.shape[1] // _SEGMENT)
    segments = windows_NL[:, : count * _SEGMENT].reshape(len(windows_NL), count, -1)
    spectrum = np.asarray(scipy.fft.rfft(segments, n=_SEGMENT, axis=2))
    low, double = spectrum[:, :, :_BISPECTRUM_BINS], spectrum[:, :, : 2 * _BISPECTRUM_BINS : 2]
    slice_NK = np.abs((low * low * double.conj()).mean(axis=1))
    first = spectrum[:, 0]
    power = (np.square(first.real) + np.square(first.imag)).sum(axis=1)
    mean, peak = slice_NK.mean(axis=1), slice_NK.max(axis=1)
    return np.stack(
        [
            peak,
            mean,
            _entropy_nats(slice_NK),
            np.tanh(_ratio(slice_NK.sum(axis=1), power)),
            (mean + np.abs(_moments(windows_NL)[1])) / 2,
            _ratio(peak, mean),
        ],
        axis=1,
    )

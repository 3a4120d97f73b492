"""Decides among candidate sample rates by the lines that a shaft of known speed leaves in the spectrum.

A wrong candidate puts the comb of shaft harmonics where there are no lines, or leaves lines between its teeth
unexplained. Both are weighed by a likelihood per tooth, over the same part of the spectrum for every candidate: three
teeth of the lowest candidate, correspondingly more of the others. So of two candidates that both fit (48 kHz data read
as 12 kHz: every fourth line), the one that explains more lines wins; empty teeth count against the denser comb.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import UserError

_TEETH_OF_LOWEST = 3
#: The speed of a record is given to about this share (rounded, or measured at another moment).
_SPEED_TOLERANCE = 0.01
#: Evidence of one tooth is bounded, so that no single line (mains, another shaft) decides.
_TOOTH_LIMIT = 3.0
#: The best candidate must fit by itself, and be ahead of the next, by as much as one clear tooth.
_MIN_EVIDENCE = 3.0
_MIN_LEAD = 3.0
_REMEDY = "Give the true rate as the only value of sample_rate_candidates_hz, importing these files by themselves."


@dataclass(frozen=True)
class RateDecision:
    """A chosen sample rate."""

    sample_rate_hz: float
    shaft_line_hz: float  #: where the shaft turns by this rate
    confidence: float  #: posterior of the choice, candidates equally likely beforehand
    evidence: dict[float, float]  #: log likelihood ratio against noise of each candidate


def decide_sample_rate(
    signal_L: ArrayLike, candidates_hz: Sequence[float], shaft_speed_rpm: float | None
) -> RateDecision:
    """Choose the candidate whose shaft harmonics are in the spectrum of `signal_L`.

    Raises `UserError` with a remedy where speed, length or lines do not suffice. One candidate is not checked."""
    rates_hz = sorted(set(candidates_hz))
    if len(rates_hz) == 1:
        line_hz = (shaft_speed_rpm or 0.0) / 60
        return RateDecision(rates_hz[0], line_hz, 1.0, {rates_hz[0]: 0.0})
    shown = ", ".join(f"{rate:g}" for rate in rates_hz)
    if shaft_speed_rpm is None:
        raise UserError(f"Without a shaft speed the sample rate is undecidable among {shown} Hz.", remedy=_REMEDY)
    shaft_hz = shaft_speed_rpm / 60
    power_K, length = _power(signal_L)
    # Distance of two teeth of the densest comb, in bins: the floor is taken between them.
    spacing_bins = shaft_hz / rates_hz[-1] * length
    if spacing_bins < 12:
        raise UserError(
            f"{length} samples are too few to decide the sample rate among {shown} Hz at {shaft_speed_rpm:g} rpm.",
            remedy=_REMEDY,
        )
    top = _TEETH_OF_LOWEST * shaft_hz / rates_hz[0]
    scored = {rate: _comb(power_K, length, shaft_hz / rate, top, spacing_bins) for rate in rates_hz}
    evidence = {rate: score for rate, (score, _) in scored.items()}
    best, second = sorted(rates_hz, key=lambda rate: -evidence[rate])[:2]
    if evidence[best] < _MIN_EVIDENCE or evidence[best] - evidence[second] < _MIN_LEAD:
        found = ", ".join(f"{rate:g} Hz: {evidence[rate]:+.1f}" for rate in rates_hz)
        raise UserError(
            f"The shaft lines at {shaft_speed_rpm:g} rpm do not decide the sample rate (log evidence {found}).",
            remedy=_REMEDY,
        )
    confidence = 1 / sum(exp(max(evidence[rate] - evidence[best], -700)) for rate in rates_hz)
    return RateDecision(best, shaft_hz * scored[best][1], confidence, evidence)


def _power(signal_L: ArrayLike) -> tuple[NDArray[np.float64], int]:
    signal = np.asarray(signal_L, dtype=np.float64)
    window = np.hanning(len(signal))
    return np.abs(np.fft.rfft((signal - signal.mean()) * window)) ** 2, len(signal)


def _comb(
    power_K: NDArray[np.float64], length: int, tooth: float, top: float, spacing_bins: float
) -> tuple[float, float]:
    """Evidence of a comb with teeth at multiples of `tooth` up to `top` (cycles per sample), and its best stretch.

    The true speed is searched within the tolerance, in steps of half a bin at the highest tooth; of equal fits the one
    nearest to the given speed is taken."""
    teeth = int(top / tooth + 1e-6)
    steps = int(np.ceil(_SPEED_TOLERANCE * teeth * tooth * length * 2))
    stretches = sorted(1 + _SPEED_TOLERANCE * np.arange(-steps, steps + 1) / max(steps, 1), key=lambda s: abs(s - 1))
    best = (-np.inf, 1.0)
    for stretch in stretches:
        score = sum(
            _tooth_evidence(power_K, round(order * tooth * stretch * length), spacing_bins)
            for order in range(1, teeth + 1)
        )
        if score > best[0]:
            best = (score, float(stretch))
    return best


def _tooth_evidence(power_K: NDArray[np.float64], centre: int, spacing_bins: float) -> float:
    """Log likelihood ratio of "a line here" against "noise here", bounded on both sides.

    Noise power is exponentially distributed, its mean is the median of the neighbourhood over ln 2, and the highest of
    three bins is looked at. A line's power is taken as log-uniform over four decades; a true comb misses 5 % of its
    teeth."""
    around = int(0.4 * spacing_bins)
    if centre - 1 < 1 or centre + around >= len(power_K):
        return -_TOOTH_LIMIT
    floor = np.concatenate([power_K[max(1, centre - around) : centre - 2], power_K[centre + 3 : centre + around]])
    mean = float(np.median(floor)) / log(2)
    if mean <= 0:
        return -_TOOTH_LIMIT
    excess = float(power_K[centre - 1 : centre + 2].max()) / mean
    noise = 3 * exp(-min(excess, 600)) * (1 - exp(-excess)) ** 2
    line = 1 / (excess * log(1e4)) if excess > 1 else 0.0
    ratio = log(0.95 * line / max(noise, 1e-250) + 0.05)
    return float(np.clip(ratio, -_TOOTH_LIMIT, _TOOTH_LIMIT))

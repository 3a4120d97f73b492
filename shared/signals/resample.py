"""Sample-rate conversion by a polyphase filter that removes what the new rate cannot hold."""

from fractions import Fraction
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from shared.errors import UserError

#: Rates are compared as fractions with at most this denominator; beyond it the filter would grow without use.
_MAX_FACTOR = 2000
#: Kaiser window: 80 dB stop band. With so many taps either side (at the lower rate) it is reached at the new Nyquist
#: frequency, and the pass band ends 8 % below it.
_KAISER_BETA = 8.0
_HALF_TAPS = 64
_CUTOFF = 0.96


def resample_CL(signal_CL: NDArray[np.float32], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """Signal [channel, sample] at `to_hz`, float32; the same array where the rates are equal.

    The length becomes ceil(samples * to / from). The edges see zeros beyond the record, after removal of the mean.
    Raises `UserError` for rates whose ratio is no fraction of small integers (to 1e-9), or that are not positive."""
    if not (from_hz > 0 and to_hz > 0):
        raise UserError(f"Sample rates must be positive, not {from_hz} and {to_hz} Hz.")
    if from_hz == to_hz:
        return signal_CL
    ratio = Fraction(to_hz / from_hz).limit_denominator(_MAX_FACTOR)
    if ratio.numerator > _MAX_FACTOR or ratio == 0 or abs(float(ratio) * from_hz / to_hz - 1) > 1e-9:
        far = not 1 / _MAX_FACTOR <= to_hz / from_hz <= _MAX_FACTOR
        why = f"more than {_MAX_FACTOR} times apart" if far else "their ratio is no fraction of small integers"
        raise UserError(
            f"{from_hz:g} Hz cannot be resampled to {to_hz:g} Hz: {why}.",
            remedy="Choose a target_sample_rate_hz that divides the rates of the records, e.g. the smallest of them.",
        )
    signal: NDArray[np.float64] = signal_CL.astype(np.float64)
    mean_C1: NDArray[np.float64] = signal.mean(axis=1, keepdims=True)
    centred: NDArray[np.float64] = signal - mean_C1
    longer = max(ratio.numerator, ratio.denominator)
    # Any: scipy-stubs leaves arrays out of the allowed windows.
    filter_T: Any = scipy.signal.firwin(2 * _HALF_TAPS * longer + 1, _CUTOFF / longer, window=("kaiser", _KAISER_BETA))
    resampled = scipy.signal.resample_poly(centred, ratio.numerator, ratio.denominator, axis=1, window=filter_T)
    limit = float(np.finfo(np.float32).max)
    if float(np.abs(resampled + mean_C1).max()) > limit:
        raise UserError(
            f"Resampling to {to_hz:g} Hz gives values beyond {limit:.3g}.",
            remedy="Export the record in a larger unit: such values are no vibration.",
        )
    return np.asarray(resampled + mean_C1, dtype=np.float32)

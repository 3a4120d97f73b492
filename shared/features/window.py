"""The feature set that a model on features is given: which features, for which knowledge of the machine.

Measured on real records with whole bearings held out (tests/features/test_real_bearings.py): with geometry and speed
the scale-free groups alone carry over best; classic features of amplitude learn the bearing instead of the fault.
"""

from numpy.typing import ArrayLike

from shared.contracts.specs import BearingGeometry
from shared.features.classic import FEATURE_NAMES, Array, features_NF
from shared.features.rolling import ROLLING_NAMES, rolling_features_NF


def window_feature_names(*, rolling: bool) -> tuple[str, ...]:
    """Names in the order of the columns of `window_features_NF`; `rolling`: bearing and speed are known."""
    return ROLLING_NAMES if rolling else FEATURE_NAMES


def window_features_NF(
    windows_NL: ArrayLike,
    sample_rate_hz: float,
    bearing: BearingGeometry | None = None,
    shaft_speed_rpm: ArrayLike | None = None,
) -> Array:
    """Features of windows of one channel, float64 [window, feature], finite; one speed for all or one per window.

    With `bearing` and `shaft_speed_rpm` the bands and fault-rate lines, otherwise the classic 36.
    Raises `ValueError` as `features_NF` does."""
    if bearing is not None and shaft_speed_rpm is not None:
        return rolling_features_NF(windows_NL, sample_rate_hz, bearing, shaft_speed_rpm)
    return features_NF(windows_NL, sample_rate_hz)

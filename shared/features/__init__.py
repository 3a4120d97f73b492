"""Numbers that describe a window of vibration."""

from shared.features.classic import FEATURE_NAMES, features_NF
from shared.features.rolling import BAND_NAMES, ROLLING_NAMES, band_features_NF, rolling_features_NF
from shared.features.window import window_feature_names, window_features_NF

__all__ = [
    "BAND_NAMES",
    "FEATURE_NAMES",
    "ROLLING_NAMES",
    "band_features_NF",
    "features_NF",
    "rolling_features_NF",
    "window_feature_names",
    "window_features_NF",
]

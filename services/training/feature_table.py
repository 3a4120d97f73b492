"""The feature table of a window set, for models that do not read the raw signal. Called by `models/rf.py`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.windows import WindowSet
from shared.contracts.specs import BearingGeometry
from shared.features import window_feature_names, window_features_NF

Float64 = NDArray[np.float64]

#: Windows between two looks at whether to stop: a fraction of a second.
BATCH = 128


@dataclass(frozen=True)
class FeatureTable:
    """Features of all channels side by side; with a known bearing and speed they look for its fault rates."""

    channels: tuple[str, ...]
    sample_rate_hz: float
    bearing: BearingGeometry | None

    @property
    def names(self) -> list[str]:
        """Names in the order of the columns, `channel:feature`."""
        features = window_feature_names(rolling=self.bearing is not None)
        return [f"{channel}:{name}" for channel in self.channels for name in features]

    def values_NF(self, windows: WindowSet, tell: Callable[[float], None]) -> Float64:
        """Features of standardised windows, float64 [window, feature]; tells the share done after every batch.

        Raises `ValueError` for a record without shaft speed if the bearing is given."""
        assert (np.diff(windows.record_N) >= 0).all(), "rows are returned record by record"
        parts: list[Float64] = []
        for place, record in enumerate(windows.records):
            if self.bearing is not None and record.shaft_speed_rpm is None:
                raise ValueError(f"record {record.id!r} has no shaft speed")
            own = np.flatnonzero(windows.record_N == place)
            for first in range(0, len(own), BATCH):
                batch = own[first : first + BATCH]
                windows_NCL = windows.batch_NCL(batch)
                columns = [
                    window_features_NF(windows_NL, self.sample_rate_hz, self.bearing, record.shaft_speed_rpm)
                    for windows_NL in windows_NCL.transpose(1, 0, 2)
                ]
                parts.append(np.concatenate(columns, axis=1))
                tell(float(batch[-1] + 1) / len(windows))
        return np.concatenate(parts)

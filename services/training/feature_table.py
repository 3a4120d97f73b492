"""The feature table of a window set, for models that do not read the raw signal. Called by `models/rf.py`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.windows import WindowSet
from shared.contracts.specs import BearingGeometry
from shared.features import window_feature_names, window_features_NF

Float32 = NDArray[np.float32]

#: Samples between two looks at whether to stop: a fraction of a second.
BATCH_SAMPLES = 1 << 19


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

    def values_NF(self, windows: WindowSet, tell: Callable[[float], None]) -> Float32:
        """Features of standardised windows, float32 [window, feature]; tells the share done after every batch.

        Raises `ValueError` for a record without shaft speed if the bearing is given."""
        assert (np.diff(windows.record_N) >= 0).all(), "rows are returned record by record"
        size = max(1, BATCH_SAMPLES // (windows.channels * windows.samples))
        values_NF = np.empty((len(windows), len(self.names)), dtype=np.float32)
        for place, record in enumerate(windows.records):
            if self.bearing is not None and record.shaft_speed_rpm is None:
                raise ValueError(f"record {record.id!r} has no shaft speed")
            own = np.flatnonzero(windows.record_N == place)
            for first in range(0, len(own), size):
                batch = own[first : first + size]
                windows_NCL = windows.batch_NCL(batch)
                columns = [
                    window_features_NF(windows_NL, self.sample_rate_hz, self.bearing, record.shaft_speed_rpm)
                    for windows_NL in windows_NCL.transpose(1, 0, 2)
                ]
                values_NF[batch] = np.concatenate(columns, axis=1)
                tell(float(batch[-1] + 1) / len(windows))
        return values_NF

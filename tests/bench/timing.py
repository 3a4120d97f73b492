"""Quantiles, and waiting for a moment."""

import time
from collections.abc import Iterator, Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def paced(count: int, per_s: float) -> Iterator[int]:
    """0 to `count` - 1, each at its time."""
    began_s = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, began_s + index / per_s - time.monotonic()))
        yield index

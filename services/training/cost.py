"""What a trained model costs to keep and to ask. Measured on the model itself; called by `training.py`."""

import time
from collections.abc import Callable
from statistics import median

import torch

from services.training.models import Model
from services.training.windows import WindowSet
from shared.contracts.results import ModelCost

#: What measuring may take: short beside any training, long enough for a median of a model worth timing.
WARM_S, TIMED_S = 0.1, 0.3
MOST_CALLS = 200


def cost_of(model: Model, windows: WindowSet, file_bytes: int) -> ModelCost:
    """The costs of `model`, whose weights take `file_bytes`; the first of `windows` is classified to measure time.

    The time is that of a caller who hands over one window: standardising and features are in it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = windows.only(0)
    latency_s = median_s(lambda: model.probability_NK(one))
    torch.set_num_threads(threads)
    return ModelCost(
        parameters=model.parameters(),
        file_bytes=file_bytes,
        flops=model.flops(one.channels, one.samples),
        latency_ms=1000 * latency_s,
    )


def median_s(call: Callable[[], object]) -> float:
    """Median wall time of `call` in seconds: warmed up first, at least one timed call, some 0.4 s at most in all."""
    _timed(call, WARM_S)
    return median(_timed(call, TIMED_S))


def _timed(call: Callable[[], object], budget_s: float) -> list[float]:
    times_s: list[float] = []
    while not times_s or (sum(times_s) < budget_s and len(times_s) < MOST_CALLS):
        begun = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - begun)
    return times_s

"""What every model offers. One strategy per file beside this one; `models/__init__.py` chooses by recipe."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from services.training.windows import WindowSet
from shared.contracts.specs import BearingGeometry
from shared.runs.body import Reporter, RunArtifacts

Probability = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """What a model must know of its data before it sees any."""

    faults: tuple[str, ...]  #: in the order of the outputs
    channels: tuple[str, ...]
    window_samples: int
    sample_rate_hz: float
    bearing: BearingGeometry | None  #: None also where a record has no shaft speed: fault rates are unknown then
    seed: int


@dataclass(frozen=True)
class Fit:
    """How training went."""

    epochs: int
    best_epoch: int  #: counted from 1
    validation_accuracy: float  #: by window, of the weights that were kept
    validation_macro_f1: float
    history: list[dict[str, float]] = field(default_factory=list)  #: one row per epoch
    resumed_from_step: int | None = None


class Model(ABC):
    """A classifier of windows."""

    file_name: ClassVar[str]  #: of the weights; never a pickle

    @abstractmethod
    def fit(self, train: WindowSet, validation: WindowSet, reporter: Reporter, artifacts: RunArtifacts) -> Fit:
        """Learn from `train`, select by `validation`. Raises `RunStopped` when the reporter says so."""

    @abstractmethod
    def probability_NK(self, windows: WindowSet, progress: Callable[[float], None] | None = None) -> Probability:
        """Probability of each fault per window, float64 [window, fault]; tells `progress` the share done."""

    @abstractmethod
    def parameters(self) -> int:
        """Trainable weights, or nodes of the trees."""

    @abstractmethod
    def save(self, folder: Path) -> Path:
        """Write the weights to `folder / file_name`."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Read the weights. Raises `UserError` for a file that is damaged or holds anything but weights."""

    def flops(self, channels: int, samples: int) -> int | None:  # noqa: ARG002 - a forest does not count them
        """Floating-point operations to classify one window of so many `channels` and `samples`; None: not counted."""
        return None

    def config(self) -> dict[str, Any]:
        """What else `model.json` must say to use the weights; JSON values."""
        return {}

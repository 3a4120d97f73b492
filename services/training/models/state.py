"""Everything a training loop must remember to go on exactly where it was. Used by the network models.

A checkpoint is `torch.save` of tensors, numbers and strings only, and is read with `weights_only=True`: a file that
holds anything else, such as code, is refused.
"""

import copy
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self
from zipfile import is_zipfile

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from shared.errors import Fatal


@dataclass
class TrainingState:
    """Model, optimizer, schedule, random states, and what has happened so far."""

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    sampler: np.random.Generator  #: order of the windows and augmentation; dropout uses torch's own generator
    epoch: int = 0  #: epochs that are done
    best_epoch: int = 0  #: counted from 1
    best: dict[str, float] = field(default_factory=dict)  #: validation scores of the best epoch
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def fresh(cls, model: nn.Module, learning_rate: float, weight_decay: float, steps: int, seed: int) -> Self:
        """AdamW with a cosine schedule over `steps` batches."""
        optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        return cls(model, optimizer, schedule, np.random.default_rng(seed))

    def finish_epoch(self, row: dict[str, float]) -> None:
        """Note the scores of an epoch; the weights are copied if its validation loss is the lowest so far."""
        self.epoch += 1
        self.history.append({"epoch": float(self.epoch), **row})
        if not self.best or row["validation_loss"] < self.best["validation_loss"]:
            self.best, self.best_epoch = row, self.epoch
            self.best_weights = copy.deepcopy(self.model.state_dict())

    def to_bytes(self) -> bytes:
        """The checkpoint."""
        target = io.BytesIO()
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
                "torch_random": torch.get_rng_state(),
                "sampler": json.dumps(self.sampler.bit_generator.state),
                "epoch": self.epoch,
                "best_epoch": self.best_epoch,
                "best": self.best,
                "best_weights": self.best_weights,
                "history": self.history,
            },
            target,
        )
        return target.getvalue()

    def restore(self, path: Path) -> None:
        """Go back to a checkpoint. Raises `Fatal` for a damaged one or one of another network."""
        if not is_zipfile(path):
            raise Fatal("the checkpoint cannot be resumed from: it is torn")
        try:
            saved: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.schedule.load_state_dict(saved["schedule"])
            torch.set_rng_state(saved["torch_random"])
            self.sampler.bit_generator.state = json.loads(saved["sampler"])
        except (UnpicklingError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise Fatal(f"the checkpoint cannot be resumed from: {error}") from error
        self.epoch, self.best_epoch = saved["epoch"], saved["best_epoch"]
        self.best, self.best_weights = saved["best"], saved["best_weights"]
        self.history = saved["history"]

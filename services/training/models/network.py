"""What all networks have in common: the training loop, prediction, and the file of the weights.

The loop writes a checkpoint after every epoch. A run that stops within an epoch goes on from the last one; on one
processor thread the resumed run gives the same digits as one that never stopped.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from services.training.models.augment import augmented_NCL
from services.training.models.base import Fit, Model, Probability, Setup
from services.training.models.state import TrainingState
from services.training.scores import accuracy, confusion_KK, macro_f1
from services.training.windows import WindowSet
from shared.contracts.specs import NetworkRecipe
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped

GRADIENT_NORM = 1.0
#: Samples per batch of a prediction: a fraction of a second between two looks at whether to stop.
PREDICT_SAMPLES = 1 << 20

N = TypeVar("N", bound=nn.Module)


class NetworkModel(Model, Generic[N]):
    """A network, from windows [batch, channel, sample] to logits [batch, fault], with its recipe."""

    file_name: ClassVar[str] = "model.safetensors"

    def __init__(self, recipe: NetworkRecipe, setup: Setup, build: Callable[[], N]) -> None:
        torch.set_num_threads(1)  # sums in another order would change the last digits
        torch.manual_seed(setup.seed)
        self.recipe = recipe
        self.seed = setup.seed
        self.network = build()

    def fit(self, train: WindowSet, validation: WindowSet, reporter: Reporter, artifacts: RunArtifacts) -> Fit:
        """Train until the epochs are done or validation has not improved for `patience` epochs; keep the best weights.

        Raises `RunStopped` on request, `UserError` if training diverges, `Fatal` if an earlier attempt's checkpoint
        is damaged. The checkpoint comes before the metrics of its epoch: a crash between them loses a point of a
        curve (never of the history) and tells none twice."""
        recipe = self.recipe
        steps = max(1, len(train) // recipe.batch_size)
        state = TrainingState.fresh(
            self.network, recipe.learning_rate, recipe.weight_decay, recipe.epochs * steps, self.seed
        )
        resumed_from = None
        if (checkpoint := artifacts.checkpoint()) is not None:
            state.restore(checkpoint)
            resumed_from = state.epoch

        while state.epoch < recipe.epochs and state.epoch - state.best_epoch < recipe.patience:
            train_loss = self._train_epoch(state, train, steps, reporter)
            scores = self._scores(validation, reporter)
            _check_loss(scores["validation_loss"], state.epoch + 1)
            state.finish_epoch({"train_loss": train_loss, **scores})
            artifacts.save_checkpoint(state.epoch, state.to_bytes())
            reporter.metrics(state.epoch, train_loss=train_loss, **scores)
            reporter.progress(state.epoch / recipe.epochs, stage="training", current=state.epoch, total=recipe.epochs)

        self.network.load_state_dict(state.best_weights)
        return Fit(
            epochs=state.epoch,
            best_epoch=state.best_epoch,
            validation_accuracy=state.best["validation_accuracy"],
            validation_macro_f1=state.best["validation_macro_f1"],
            history=state.history,
            resumed_from_step=resumed_from,
        )

    def _train_epoch(self, state: TrainingState, train: WindowSet, steps: int, reporter: Reporter) -> float:
        """One pass over the windows in random order; returns the mean loss."""
        self.network.train()
        weight_N = torch.from_numpy(train.balanced_weight_N()).float()
        label_N = torch.from_numpy(train.label_N)
        order = state.sampler.permutation(len(train))
        losses = torch.zeros(steps)
        for step, batch in enumerate(np.array_split(order, steps)):
            _stop_if_asked(reporter)
            reporter.progress((state.epoch + step / steps) / self.recipe.epochs, stage="training")
            windows_BCL = torch.from_numpy(train.batch_NCL(batch))
            if self.recipe.augment:
                windows_BCL = augmented_NCL(windows_BCL, state.sampler)
            loss_B = cross_entropy(self.network(windows_BCL), label_N[batch], reduction="none")
            loss = (loss_B * weight_N[batch]).mean()
            _check_loss(float(loss.detach()), state.epoch + 1)
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
            state.optimizer.step()
            state.schedule.step()
            losses[step] = loss.detach()
        return float(losses.mean())

    def _scores(self, validation: WindowSet, reporter: Reporter) -> dict[str, float]:
        """Scores by window; every fault has the same say in the loss."""
        probability_NK = self.probability_NK(validation, lambda _share: _stop_if_asked(reporter))
        of_truth_N = probability_NK[np.arange(len(validation)), validation.label_N]
        loss_N = -np.log(np.maximum(of_truth_N, 1e-12))
        counts_KK = confusion_KK(validation.label_N, probability_NK.argmax(axis=1), len(validation.faults))
        return {
            "validation_loss": float(np.average(loss_N, weights=validation.balanced_weight_N())),
            "validation_accuracy": accuracy(counts_KK),
            "validation_macro_f1": macro_f1(counts_KK),
        }

    def probability_NK(self, windows: WindowSet, progress: Callable[[float], None] | None = None) -> Probability:
        """Softmax of the logits, float64 [window, fault]."""
        self.network.eval()
        size = max(1, PREDICT_SAMPLES // (windows.channels * windows.samples))
        parts: list[NDArray[np.float64]] = []
        with torch.no_grad():
            for batch in windows.batches(size):
                logits = self.network(torch.from_numpy(windows.batch_NCL(batch)))
                parts.append(torch.softmax(logits.double(), dim=1).numpy())
                if progress is not None:
                    progress((batch[-1] + 1) / len(windows))
        return np.concatenate(parts)

    def parameters(self) -> int:
        """Trainable weights."""
        return sum(weight.numel() for weight in self.network.parameters())

    def flops(self, channels: int, samples: int) -> int:
        """Of convolutions, linear layers and attention, which are nearly all; a multiplication with its addition counts
        two."""
        self.network.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.network(torch.zeros(1, channels, samples))
        return int(counter.get_total_flops())

    def save(self, folder: Path) -> Path:
        """Write the weights as safetensors."""
        path = folder / self.file_name
        save_file(self.network.state_dict(), path)
        return path

    def load(self, path: Path) -> None:
        """Read the weights. Raises `UserError` for a damaged file or another network's."""
        try:
            self.network.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError) as error:
            raise UserError(
                f"{self.file_name} does not hold the weights of this network.", remedy="Train the model again."
            ) from error


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.should_stop():
        raise RunStopped


def _check_loss(loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise UserError(
            f"The loss is not a number in epoch {epoch}: training diverged.",
            remedy="Lower learning_rate; if that does not help, look for extreme values in the records.",
        )

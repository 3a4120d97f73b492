"""One-dimensional convolutional network of a fixed shape on the raw window.

The first kernels are wide: they learn a bank of band filters. The energy of each band is then followed over time as a
logarithm without its mean and spread, so that only its rhythm is left: which bands are loud depends on the machine and
on the size of a fault, how often they ring on the fault. That is what carries over to bearings never seen. The mean
over time at the end makes the network indifferent to where in the window a fault strikes, and lets it read windows of
another length than it was trained on.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool1d

from services.training.models.base import Setup
from services.training.models.network import NetworkModel
from shared.contracts.specs import Cnn1dRecipe

#: Band energy that counts as silence; batch normalisation makes the mean energy of a band 1.
SILENT_ENERGY = 1e-2


class Cnn1dNetwork(nn.Module):
    """Windows [batch, channel, sample] to logits [batch, fault]."""

    def __init__(self, channels: int, faults: int, width: int, dropout: float) -> None:
        super().__init__()
        self.filters = nn.Sequential(
            nn.Conv1d(channels, width, kernel_size=32, stride=8, padding=16, bias=False), nn.BatchNorm1d(width)
        )
        self.rhythm = nn.Sequential(
            nn.InstanceNorm1d(width),
            *_block(width, 2 * width, kernel=25),
            *_block(2 * width, 4 * width, kernel=15),
            *_block(4 * width, 4 * width, kernel=9),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(4 * width, faults)

    def forward(self, windows_BCL: torch.Tensor) -> torch.Tensor:
        """Logits [batch, fault]."""
        energy = avg_pool1d(self.filters(windows_BCL).square(), 2)
        logits: torch.Tensor = self.head(self.rhythm(torch.log(energy + SILENT_ENERGY)))
        return logits


class Cnn1d(NetworkModel[Cnn1dNetwork]):
    """The network with its recipe."""

    def __init__(self, recipe: Cnn1dRecipe, setup: Setup) -> None:
        def build() -> Cnn1dNetwork:
            return Cnn1dNetwork(len(setup.channels), len(setup.faults), recipe.width, recipe.dropout)

        super().__init__(recipe, setup, build)


def _block(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv1d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
    ]

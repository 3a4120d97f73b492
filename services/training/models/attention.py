"""What a block of the convolutional network may pay attention to: [batch, channel, step] in and out."""

from math import sqrt

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool1d

#: A window is looked at in at most so many parts, so that attention costs no more than a convolution.
PARTS = 64


class Squeeze(nn.Module):
    """Each channel louder or softer, by what all channels say on average over the window."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(4, width // 8)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool1d(1),
            nn.Conv1d(width, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv1d(hidden, width, 1),
            nn.Sigmoid(),
        )

    def forward(self, steps_BCL: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        gate_BC1: torch.Tensor = self.gate(steps_BCL)
        return steps_BCL * gate_BC1


class Temporal(nn.Module):
    """To each step is added what it finds in the parts of the window that are like what it asks for; one head.

    Nothing tells it where a step is, so the network stays indifferent to where in the window a fault strikes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        asked = max(4, width // 4)
        self.query = nn.Conv1d(width, asked, 1, bias=False)
        self.key = nn.Conv1d(width, asked, 1, bias=False)
        self.value = nn.Conv1d(width, width, 1, bias=False)
        self.scale = 1 / sqrt(asked)

    def forward(self, steps_BCL: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        parts_BCP = adaptive_avg_pool1d(steps_BCL, min(PARTS, steps_BCL.shape[-1]))
        like_BLP = self.query(steps_BCL).transpose(1, 2) @ self.key(parts_BCP) * self.scale
        share_BPL = torch.softmax(like_BLP, dim=-1).transpose(1, 2)
        found_BCL: torch.Tensor = self.value(parts_BCP) @ share_BPL
        return steps_BCL + found_BCL

"""One-dimensional convolutional network whose shape is data: stem, blocks, pooling, dropout, head.

Every convolution pads so that stride 1 keeps the length and stride `s` leaves a `s`-th of it, rounded up. Why the stem
may hand on the logarithm of its energy: see `cnn1d.py`. A shape that does not fit the window, or is too large, is
refused before anything of it is allocated.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool1d

from services.training.models.attention import Squeeze, Temporal
from services.training.models.base import Setup
from services.training.models.cnn1d import SILENT_ENERGY
from services.training.models.network import NetworkModel
from services.training.signals import SHARE_OF_MEMORY, memory_of_this_machine_bytes
from shared.contracts.specs import MOST_PARAMETERS, ConvBlock, ConvNetRecipe, ConvStem
from shared.errors import UserError

#: Tensors that a layer keeps until its gradient is known: convolution, normalisation, rectifier, and a gradient.
TENSORS_PER_LAYER = 4


class Stem(nn.Module):
    """Windows [batch, channel, sample] to log energies of bands or the filtered signal, [batch, band, step]."""

    def __init__(self, channels: int, stem: ConvStem) -> None:
        super().__init__()
        self.filters = nn.Sequential(
            *_convolution(channels, stem.width, stem.kernel, stem.stride), nn.BatchNorm1d(stem.width)
        )
        self.log_energy = stem.log_energy
        self.rhythm = nn.InstanceNorm1d(stem.width) if stem.log_energy else nn.ReLU(inplace=True)

    def forward(self, windows_BCL: torch.Tensor) -> torch.Tensor:
        """Bands over time."""
        bands = self.filters(windows_BCL)
        if self.log_energy:
            bands = torch.log(avg_pool1d(bands.square(), 2) + SILENT_ENERGY)
        rhythm: torch.Tensor = self.rhythm(bands)
        return rhythm


class Residual(nn.Module):
    """Two convolutions, and a shortcut around them, [batch, channel, step]."""

    def __init__(self, inputs: int, block: ConvBlock) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, block.width, block.kernel, block.stride),
            nn.BatchNorm1d(block.width),
            nn.ReLU(inplace=True),
            *_convolution(block.width, block.width, block.kernel),
            nn.BatchNorm1d(block.width),
            _attention(block),
        )
        self.shortcut = (
            nn.Identity()
            if (inputs, block.stride) == (block.width, 1)
            else nn.Sequential(nn.Conv1d(inputs, block.width, 1, block.stride, bias=False), nn.BatchNorm1d(block.width))
        )

    def forward(self, steps_BCL: torch.Tensor) -> torch.Tensor:
        """`block.width` channels, a `block.stride`-th of the steps."""
        return torch.relu(self.body(steps_BCL) + self.shortcut(steps_BCL))


class ConvNetwork(nn.Module):
    """Windows [batch, channel, sample] to logits [batch, fault]."""

    def __init__(self, recipe: ConvNetRecipe, channels: int, faults: int) -> None:
        super().__init__()
        self.stem = Stem(channels, recipe.stem)
        inputs = [recipe.stem.width, *(block.width for block in recipe.blocks)]
        self.blocks = nn.Sequential(
            *(_block(count, block) for count, block in zip(inputs, recipe.blocks, strict=False))
        )
        self.pooling = nn.AdaptiveAvgPool1d(1) if recipe.pooling == "mean" else nn.AdaptiveMaxPool1d(1)
        self.dropout = nn.Dropout(recipe.dropout)
        self.head = nn.Linear(inputs[-1], faults)

    def forward(self, windows_BCL: torch.Tensor) -> torch.Tensor:
        """Logits [batch, fault]."""
        pooled_BC = self.pooling(self.blocks(self.stem(windows_BCL))).flatten(1)
        logits: torch.Tensor = self.head(self.dropout(pooled_BC))
        return logits


class ConvNet(NetworkModel[ConvNetwork]):
    """The network with its recipe."""

    def __init__(self, recipe: ConvNetRecipe, setup: Setup) -> None:
        """Raises `UserError` for a shape that does not fit the window or is too large."""

        def build() -> ConvNetwork:
            return ConvNetwork(recipe, len(setup.channels), len(setup.faults))

        steps = steps_per_layer(recipe, setup.window_samples)
        _check_memory(recipe, steps, memory_of_this_machine_bytes())
        with torch.device("meta"):  # shapes without memory
            parameters = sum(weight.numel() for weight in build().parameters())
        if parameters > MOST_PARAMETERS:
            raise UserError(
                f"The network has {parameters:,} parameters, more than {MOST_PARAMETERS:,}.",
                remedy="Lower width or kernel of its widest blocks, or make them separable.",
            )
        super().__init__(recipe, setup, build)


def steps_per_layer(recipe: ConvNetRecipe, samples: int) -> list[int]:
    """Steps that the stem and each block leave of a window of `samples`.

    Raises `UserError` for a kernel or a stride that is longer than what it finds."""
    steps = [samples]
    layers: list[tuple[str, ConvStem | ConvBlock]] = [("stem", recipe.stem)]
    layers += [(f"blocks.{place}", block) for place, block in enumerate(recipe.blocks)]
    for name, layer in layers:
        left = -(-steps[-1] // layer.stride)
        if isinstance(layer, ConvStem) and layer.log_energy:
            left //= 2
        # Normalisation over time needs two steps after the stem.
        fewest = 2 if isinstance(layer, ConvStem) else 1
        if max(layer.kernel, layer.stride) > steps[-1] or left < fewest:
            raise UserError(
                f"recipe.{name}: a kernel of {layer.kernel} with stride {layer.stride} does not fit into {steps[-1]}"
                f" steps, which is what is left of a window of {samples} samples.",
                remedy="Use a smaller kernel or stride there, smaller strides before it, or a longer window_s.",
            )
        steps.append(left)
    return steps[1:]


def _check_memory(recipe: ConvNetRecipe, steps: list[int], memory_bytes: float) -> None:
    """Raise `UserError` where one batch would not fit into this machine while the network learns."""
    widths = [recipe.stem.width, *(block.width for block in recipe.blocks)]
    # The stem's own steps, before its energy is averaged; a residual block has two convolutions.
    layers = [2 if recipe.stem.log_energy else 1, *(2 if block.type == "residual" else 1 for block in recipe.blocks)]
    values = sum(width * left * layer for width, left, layer in zip(widths, steps, layers, strict=True))
    need_bytes = 4 * TENSORS_PER_LAYER * recipe.batch_size * values
    have_bytes = SHARE_OF_MEMORY * memory_bytes
    if need_bytes > have_bytes:
        raise UserError(
            f"A batch takes about {need_bytes / 2**30:.1f} GiB in this network; {have_bytes / 2**30:.1f} GiB are there"
            " for it.",
            remedy="Lower batch_size or width, use larger strides early, or a worker with more memory.",
        )


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0),
        nn.Conv1d(inputs, outputs, kernel, stride, groups=groups, bias=False),
    ]


def _block(inputs: int, block: ConvBlock) -> nn.Module:
    if block.type == "residual":
        return Residual(inputs, block)
    if block.type == "separable":
        convolution = [
            *_convolution(inputs, inputs, block.kernel, block.stride, groups=inputs),
            nn.Conv1d(inputs, block.width, 1, bias=False),
        ]
    else:
        convolution = _convolution(inputs, block.width, block.kernel, block.stride)
    return nn.Sequential(*convolution, nn.BatchNorm1d(block.width), nn.ReLU(inplace=True), _attention(block))


def _attention(block: ConvBlock) -> nn.Module:
    match block.attention:
        case "squeeze":
            return Squeeze(block.width)
        case "temporal":
            return Temporal(block.width)
        case "none":
            return nn.Identity()

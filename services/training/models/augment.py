"""Changes to a batch of windows that leave its fault as it is. Used by the network models while they learn."""

import numpy as np
import torch
from torch.nn.functional import interpolate

#: Another machine passes other frequencies on: gain per band, standard deviation of its logarithm (0.5 is 4 dB).
PATH_LOG_GAIN = 0.5
PATH_BANDS = 8
#: Another shaft speed: time base +- 3 %.
STRETCH = 0.03
#: Another sensor: overall gain, and white noise up to this share of the signal's own standard deviation.
LOG_GAIN = 0.2
NOISE_STD = 0.3


def augmented_NCL(windows_NCL: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Transfer path, start in a ring, time stretch, sign, gain and noise, for each window [window, channel, sample].

    The transfer path and the noise differ between the channels of a window, the rest is common to them."""
    moved_NCL = _shifted_and_stretched(_through_another_path(windows_NCL, random), random)
    count = len(windows_NCL)
    sign = torch.where(_uniform(random, count, -1, 1) < 0, -1.0, 1.0)
    gain = torch.exp(_uniform(random, count, -LOG_GAIN, LOG_GAIN))
    noise_NCL = _normal(random, tuple(windows_NCL.shape)) * _uniform(random, count, 0, NOISE_STD)
    return moved_NCL * sign * gain + noise_NCL


def _through_another_path(windows_NCL: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Each frequency band louder or softer at random, phases kept, standard deviation as 1 again."""
    count, channels, length = windows_NCL.shape
    bands = _normal(random, (count, channels, PATH_BANDS)) * PATH_LOG_GAIN
    gain_NCK = torch.exp(interpolate(bands, size=length // 2 + 1, mode="linear", align_corners=True))
    changed_NCL: torch.Tensor = torch.fft.irfft(torch.fft.rfft(windows_NCL) * gain_NCK, n=length)
    std_NC1: torch.Tensor = changed_NCL.std(dim=-1, keepdim=True)
    return changed_NCL / (std_NC1 + 1e-6)


def _shifted_and_stretched(windows_NCL: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """The window as a ring, read from a random place at a slightly other pace, with linear interpolation."""
    count, channels, length = windows_NCL.shape
    pace = _uniform(random, count, 1 - STRETCH, 1 + STRETCH)
    place = (_uniform(random, count, 0, length) + torch.arange(length) * pace) % length
    before = place.long().clamp_(max=length - 1)
    left_NCL = torch.gather(windows_NCL, 2, before.expand(-1, channels, -1))
    right_NCL = torch.gather(windows_NCL, 2, ((before + 1) % length).expand(-1, channels, -1))
    return torch.lerp(left_NCL, right_NCL, (place - before).expand_as(left_NCL))


def _uniform(random: np.random.Generator, count: int, low: float, high: float) -> torch.Tensor:
    return torch.from_numpy(random.uniform(low, high, (count, 1, 1)).astype(np.float32))


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(random.standard_normal(shape, dtype=np.float32))

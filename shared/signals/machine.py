"""What every synthetic machine has, whatever its fault: a shaft whose speed wanders, a structure, noise, an ADC.

Randomness comes in as a numpy generator; equal generators give equal arrays. Times in s, `_L` is [sample].
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rng = np.random.Generator

#: First words of the entropy, so that no record shares a stream with a unit.
_UNIT_STREAM, _RECORD_STREAM = 1, 2
_ADC_BITS = 16
#: The ADC's range in multiples of the signal's RMS: room for impacts.
_ADC_RANGE = 20.0


def unit_rng(seed: int, fault: str, unit: int) -> Rng:
    """Generator of one machine: depends on the three arguments alone."""
    name = int.from_bytes(fault.encode(), "little")
    return np.random.default_rng(np.random.SeedSequence([seed, _UNIT_STREAM, unit, name]))


def record_rng(seed: int, index: int) -> Rng:
    """Generator of one record: depends on the two arguments alone."""
    return np.random.default_rng(np.random.SeedSequence([seed, _RECORD_STREAM, index]))


@dataclass(frozen=True)
class Shaft:
    """A shaft during one record: turns done at each sample, never decreasing; speed varies inside the record."""

    turns_L: Array
    sample_rate_hz: float
    speed_hz: float  #: mean

    @property
    def duration_s(self) -> float:
        """Length of the record."""
        return len(self.turns_L) / self.sample_rate_hz

    def tone_L(self, order: float, phase: float) -> Array:
        """sin at a multiple of the shaft speed that follows the true, varying speed."""
        return np.asarray(np.sin(2 * pi * order * self.turns_L + phase))

    def times_s(self, turns: Array) -> Array:
        """When the shaft has done so many turns."""
        return np.interp(turns, self.turns_L, np.arange(len(self.turns_L)) / self.sample_rate_hz)


def draw_shaft(rng: Rng, speed_hz: float, samples: int, sample_rate_hz: float, wander: float = 0.003) -> Shaft:
    """Speed with slow random waves (0.2-2 Hz) of `wander` standard deviation as a share of it; random start angle.

    The phase is the exact integral of the speed, so tones and impacts are truly frequency modulated."""
    time_s = np.arange(samples) / sample_rate_hz
    turns = rng.uniform(0, 1) + speed_hz * time_s
    waves = 4
    for frequency_hz, phase in zip(rng.uniform(0.2, 2.0, waves), rng.uniform(0, 2 * pi, waves), strict=True):
        depth = wander * sqrt(2 / waves) * speed_hz
        turns += depth / (2 * pi * frequency_hz) * (np.sin(2 * pi * frequency_hz * time_s + phase) - np.sin(phase))
    return Shaft(turns, sample_rate_hz, speed_hz)


@dataclass(frozen=True)
class Structure:
    """The path from bearing to sensor: damped resonances."""

    resonances_hz: tuple[float, ...]
    dampings: tuple[float, ...]
    gains: tuple[float, ...]
    phases: tuple[float, ...]

    def response_L(self, sample_rate_hz: float) -> Array:
        """Impulse response down to 0.1 %, energy 1: sum of g exp(-2 pi zeta f t) sin(2 pi f_d t + p)."""
        slowest = min(zeta * hz for zeta, hz in zip(self.dampings, self.resonances_hz, strict=True))
        time_s = np.arange(max(8, int(6.9 / (2 * pi * slowest) * sample_rate_hz))) / sample_rate_hz
        response = np.zeros(len(time_s))
        for hz, zeta, gain, phase in zip(self.resonances_hz, self.dampings, self.gains, self.phases, strict=True):
            decay = np.exp(-2 * pi * zeta * hz * time_s)
            response += gain * decay * np.sin(2 * pi * hz * sqrt(1 - zeta**2) * time_s + phase)
        return response / np.linalg.norm(response)


def draw_structure(rng: Rng, sample_rate_hz: float, low_hz: float = 1500.0, high_hz: float = 6000.0) -> Structure:
    """One to three resonances with 2-8 % damping, kept below 0.42 of the sample rate."""
    highest_hz = min(high_hz, 0.42 * sample_rate_hz)
    lowest_hz = min(low_hz, 0.4 * highest_hz)
    count = int(rng.integers(1, 4))
    return Structure(
        tuple(rng.uniform(lowest_hz, highest_hz, count).tolist()),
        tuple(rng.uniform(0.02, 0.08, count).tolist()),
        tuple(rng.uniform(0.4, 1.0, count).tolist()),
        tuple(rng.uniform(0, 2 * pi, count).tolist()),
    )


def impacts_L(times_s: Array, amplitudes: Array, response_L: Array, samples: int, sample_rate_hz: float) -> Array:
    """Impacts through a structure, placed between samples by linear interpolation; those outside are dropped."""
    train = np.zeros(samples + 1)
    positions = times_s * sample_rate_hz
    inside = (positions >= 0) & (positions < samples)
    whole = positions[inside].astype(np.int64)
    part = positions[inside] - whole
    np.add.at(train, whole, amplitudes[inside] * (1 - part))
    np.add.at(train, whole + 1, amplitudes[inside] * part)
    return np.asarray(scipy.signal.oaconvolve(train, response_L)[:samples])


def pink_L(rng: Rng, samples: int) -> Array:
    """True 1/f noise: power falls with 1/f, no mean, standard deviation 1."""
    spectrum = scipy.fft.rfft(rng.standard_normal(samples))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.asarray(scipy.fft.irfft(spectrum, n=samples))
    return np.asarray(noise / noise.std())


def noise_L(rng: Rng, samples: int, response_L: Array) -> Array:
    """Background of a running machine, RMS 1: white, pink, and white that came through the structure."""
    coloured = scipy.signal.oaconvolve(rng.standard_normal(samples), response_L)[:samples]
    noise = 0.5 * rng.standard_normal(samples) + 0.4 * pink_L(rng, samples) + 0.7 * coloured
    return np.asarray(noise / sqrt(float(np.square(noise).mean())))


def hum_L(rng: Rng, mains_hz: float, samples: int, sample_rate_hz: float) -> Array:
    """Mains at exactly 50 or 60 Hz with odd harmonics, random phases, first amplitude 1."""
    time_s = np.arange(samples) / sample_rate_hz
    harmonics = [order for order in (1, 3, 5) if order * mains_hz < sample_rate_hz / 2]
    phases = rng.uniform(0, 2 * pi, len(harmonics))
    tones = [
        np.sin(2 * pi * order * mains_hz * time_s + phase) / order
        for order, phase in zip(harmonics, phases, strict=True)
    ]
    return np.asarray(np.sum(tones, axis=0))


def digitise(signal_CL: Array) -> NDArray[np.float32]:
    """Quantise to 16 bits, last of all, over a range that all channels share; float32."""
    full_scale = _ADC_RANGE * sqrt(float(np.square(signal_CL).mean()))
    step = full_scale / 2 ** (_ADC_BITS - 1)
    limited = np.clip(signal_CL, -full_scale, full_scale - step)
    return np.asarray(np.rint(limited / step) * step, dtype=np.float32)

"""Synthetic records of journal-bearing machines: two proximity probes at 90 degrees, eight conditions.

Every tone has a random phase and follows the true, varying speed; a healthy machine keeps a 1x residual; what is
broadband passes the structure; quantisation comes last. Which tones a condition has: Bently and Hatch, "Fundamentals of
Rotating Machinery Diagnostics" (2002), part 4.

A record depends on (seed, index) and on its unit; a unit on (seed, fault, unit number): nothing else, in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np
import scipy.signal

from shared.contracts.specs import FAULTS, GenerateSpec
from shared.signals.machine import (
    Array,
    Rng,
    Shaft,
    digitise,
    draw_shaft,
    draw_structure,
    hum_L,
    impacts_L,
    noise_L,
    record_rng,
    unit_rng,
)
from shared.signals.synthesis import Synthetic

JOURNAL_FAULTS = FAULTS["journal"]
JOURNAL_CHANNELS = ("x", "y")


@dataclass(frozen=True)
class JournalUnit:
    """One machine: drawn once, the same in all its records."""

    speed_rpm: float
    severity: float
    response_L: Array  #: impulse response of the structure
    ellipse: float  #: y amplitude over x amplitude of a forward orbit
    residual_1x: float
    whirl_order: float  #: oil film turns at 0.42-0.48 of the shaft
    burst_hz: float  #: centre of what cavitation excites
    hum: float
    mains_hz: float
    gain: float


@dataclass(frozen=True)
class _Run:
    """What the condition's part of one record is made from."""

    rng: Rng
    machine: JournalUnit
    shaft: Shaft
    relative_speed: float


def draw_journal_unit(spec: GenerateSpec, fault: str, unit: int) -> JournalUnit:
    """The machine number `unit` with `fault`."""
    rng = unit_rng(spec.seed, fault, unit)
    return JournalUnit(
        speed_rpm=rng.uniform(*spec.shaft_speed_rpm),
        severity=rng.uniform(*spec.severity),
        response_L=draw_structure(rng, spec.sample_rate_hz, 300.0, 4000.0).response_L(spec.sample_rate_hz),
        ellipse=rng.uniform(0.6, 1.0),
        residual_1x=rng.uniform(0.05, 0.15),
        whirl_order=rng.uniform(0.42, 0.48),
        burst_hz=min(rng.uniform(1500, 2500), 0.35 * spec.sample_rate_hz),
        hum=rng.uniform(0.005, 0.03),
        mains_hz=float(rng.choice([50.0, 60.0])),
        gain=float(np.exp(rng.uniform(np.log(0.5), np.log(2.0)))),
    )


def journal_record(spec: GenerateSpec, index: int, fault: str, unit: int) -> Synthetic:
    """Record `index` of the dataset, of machine `unit` with `fault`; channels x and y.

    `snr_db` relates a fault of severity 1 to the background noise, which is as loud in a healthy machine.
    Raises `ValueError` for a fault that is not in `JOURNAL_FAULTS`."""
    if fault not in _FAULTS:
        raise ValueError(f"{fault!r} is not one of {JOURNAL_FAULTS}")
    machine = draw_journal_unit(spec, fault, unit)
    rng = record_rng(spec.seed, index)
    samples = round(spec.duration_s * spec.sample_rate_hz)
    snr_db = rng.uniform(*spec.snr_db)
    speed_hz = machine.speed_rpm / 60 * rng.uniform(0.99, 1.0)
    shaft = draw_shaft(rng, speed_hz, samples, spec.sample_rate_hz, spec.speed_wander)
    # What grows with speed is relative to the middle of the range.
    run = _Run(rng, machine, shaft, speed_hz * 60 / (sum(spec.shaft_speed_rpm) / 2))
    floor = 10 ** (-snr_db / 20)
    noise_CL = np.stack([noise_L(rng, samples, machine.response_L) for _ in JOURNAL_CHANNELS])
    hum_1L = hum_L(rng, machine.mains_hz, samples, spec.sample_rate_hz)[None, :]
    signal_CL = floor * noise_CL + machine.hum * hum_1L
    signal_CL += machine.residual_1x * _orbit(run, 1)
    signal_CL += machine.severity * _FAULTS[fault](run)
    return Synthetic(digitise(machine.gain * signal_CL), speed_hz * 60, machine.severity, snr_db)


def _orbit(run: _Run, order: float) -> Array:
    """A forward elliptical orbit at `order`: y a quarter turn behind x."""
    phase = run.rng.uniform(0, 2 * pi)
    return np.stack(
        [run.shaft.tone_L(order, phase), run.machine.ellipse * run.shaft.tone_L(order, phase - pi / 2)],
    )


def _through_structure(machine: JournalUnit, signal_L: Array) -> Array:
    """Broadband vibration reaches both probes through the structure, less in y; RMS 1 in x."""
    heard = scipy.signal.oaconvolve(signal_L, machine.response_L)[: len(signal_L)]
    heard = heard / max(float(np.sqrt(np.square(heard).mean())), 1e-12)
    return np.stack([heard, machine.ellipse * heard])


def _healthy(run: _Run) -> Array:
    return np.zeros((len(JOURNAL_CHANNELS), len(run.shaft.turns_L)))


def _misalignment(run: _Run) -> Array:
    """2x above 1x, some 3x, in one direction: a flat orbit."""
    preload = run.rng.uniform(0.15, 0.4)
    parts = [(1, 0.4), (2, 1.1), (3, 0.5)]
    tones = [amplitude * run.shaft.tone_L(order, run.rng.uniform(0, 2 * pi)) for order, amplitude in parts]
    line_L = np.sum(tones, axis=0)
    return np.stack([line_L, preload * line_L])


def _imbalance(run: _Run) -> Array:
    """A round 1x whose force grows with the square of the speed."""
    return 1.3 * run.relative_speed**2 * _orbit(run, 1)


def _looseness(run: _Run) -> Array:
    """A rotor that lifts off every other turn: 1/2 x and a long row of its multiples."""
    orders = np.arange(1, 13) / 2
    amplitudes = np.where(orders % 1 == 0, 0.9, 0.6) / np.sqrt(np.maximum(orders, 1))
    row_CL = [a * _orbit(run, float(o)) for o, a in zip(orders, amplitudes, strict=True)]
    return np.asarray(np.sum(row_CL, axis=0) * np.array([[1.0], [0.5]]))


def _oil_whirl(run: _Run) -> Array:
    """A round forward orbit a little below half the speed, slowly swelling and fading."""
    time_s = np.arange(len(run.shaft.turns_L)) / run.shaft.sample_rate_hz
    swell = 1 + 0.2 * np.sin(2 * pi * run.rng.uniform(0.3, 1.5) * time_s + run.rng.uniform(0, 2 * pi))
    return 1.4 * swell * _orbit(run, run.machine.whirl_order)


def _lubrication(run: _Run) -> Array:
    """Stick-slip: friction noise that comes and goes at 2-5 Hz, with contacts."""
    samples = len(run.shaft.turns_L)
    time_s = np.arange(samples) / run.shaft.sample_rate_hz
    wave_L = np.sin(2 * pi * run.rng.uniform(2, 5) * time_s + run.rng.uniform(0, 2 * pi))
    friction = np.maximum(wave_L, 0) ** 2 * run.rng.standard_normal(samples)
    count = max(1, int(run.rng.poisson(4 * run.shaft.duration_s)))
    contact_L = impacts_L(
        run.rng.uniform(0, run.shaft.duration_s, count),
        run.rng.uniform(4, 10, count),
        run.machine.response_L,
        samples,
        run.shaft.sample_rate_hz,
    )
    sway = 0.5 * wave_L
    return _through_structure(run.machine, friction) + np.stack([sway + contact_L, run.machine.ellipse * sway])


def _cavitation(run: _Run) -> Array:
    """Collapsing bubbles: 15-40 bursts of 8 ms a second, so that no window of 0.25 s goes without."""
    samples = len(run.shaft.turns_L)
    count = max(1, int(run.rng.uniform(15, 40) * run.shaft.duration_s))
    length = max(8, int(0.008 * run.shaft.sample_rate_hz))
    time_s = np.arange(length) / run.shaft.sample_rate_hz
    # Evenly spread with a random place in each cell: irregular, but never absent.
    starts = ((np.arange(count) + run.rng.uniform(0, 1, count)) / count * (samples - length)).astype(np.int64)
    bursts_L = np.zeros(samples)
    for start in starts:
        ring = np.sin(2 * pi * run.machine.burst_hz * run.rng.uniform(0.9, 1.1) * time_s + run.rng.uniform(0, 2 * pi))
        bursts_L[start : start + length] += (
            run.rng.uniform(0.5, 1.5) * np.hanning(length) * np.exp(-100 * time_s) * ring
        )
    bursts_L /= np.sqrt(np.square(bursts_L).mean())
    return np.stack([bursts_L, run.machine.ellipse * bursts_L])


def _wear(run: _Run) -> Array:
    """Rubbing: broadband noise that swells once per turn, with some 1x and 2x."""
    samples = len(run.shaft.turns_L)
    rub = (1 + 0.7 * run.shaft.tone_L(1, run.rng.uniform(0, 2 * pi))) * run.rng.standard_normal(samples)
    return _through_structure(run.machine, rub) + 0.3 * _orbit(run, 1) + 0.15 * _orbit(run, 2)


_FAULTS: dict[str, Callable[[_Run], Array]] = {
    "healthy": _healthy,
    "misalignment": _misalignment,
    "imbalance": _imbalance,
    "looseness": _looseness,
    "oil_whirl": _oil_whirl,
    "lubrication": _lubrication,
    "cavitation": _cavitation,
    "wear": _wear,
}

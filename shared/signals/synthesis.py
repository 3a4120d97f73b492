"""Synthetic records of rolling-element bearings whose fault physics is known exactly.

A fault is a train of impacts at its kinematic rate (shared/signals/bearing.py) with cumulative slip, each ringing in
the structure. Source of the model: Antoni and Randall, "Differential diagnosis of gear and bearing faults", J. Vib.
Acoust. 124 (2002); load zone after Stribeck, as in McFadden and Smith, J. Sound Vib. 96 (1984).

A record depends on (seed, index) and on its unit; a unit on (seed, fault, unit number): nothing else, in any order.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from shared.contracts.specs import FAULTS, GenerateSpec
from shared.signals.bearing import FaultRates, fault_rates
from shared.signals.dataset import Signal
from shared.signals.machine import (
    Array,
    Rng,
    Shaft,
    Structure,
    digitise,
    draw_shaft,
    draw_structure,
    hum_L,
    impacts_L,
    noise_L,
    record_rng,
    unit_rng,
)

ROLLING_FAULTS = FAULTS["rolling_element"]
ROLLING_CHANNELS = ("vibration",)


@dataclass(frozen=True)
class Synthetic:
    """One record and what it was made from."""

    signal_CL: Signal
    shaft_speed_rpm: float
    severity: float
    snr_db: float


@dataclass(frozen=True)
class RollingUnit:
    """One machine: drawn once, the same in all its records."""

    speed_rpm: float
    structure: Structure
    severity: float
    slip: float  #: how much slower the rollers orbit than the kinematics say
    jitter: float  #: standard deviation of the time between two impacts, as a share of it
    load_zone: float  #: Stribeck's load distribution factor
    residual_1x: float
    residual_2x: float
    hum: float
    mains_hz: float
    gain: float  #: sensor and mounting


def draw_rolling_unit(spec: GenerateSpec, fault: str, unit: int) -> RollingUnit:
    """The machine number `unit` with `fault`."""
    rng = unit_rng(spec.seed, fault, unit)
    return RollingUnit(
        speed_rpm=rng.uniform(*spec.shaft_speed_rpm),
        structure=draw_structure(rng, spec.sample_rate_hz),
        severity=rng.uniform(*spec.severity),
        slip=rng.uniform(0, 0.01),
        jitter=rng.uniform(0.01, 0.02),
        load_zone=rng.uniform(0.3, 0.5),
        residual_1x=rng.uniform(0.05, 0.3),
        residual_2x=rng.uniform(0.02, 0.15),
        hum=rng.uniform(0.01, 0.1),
        mains_hz=float(rng.choice([50.0, 60.0])),
        gain=float(np.exp(rng.uniform(np.log(0.3), np.log(3.0)))),
    )


def rolling_record(spec: GenerateSpec, index: int, fault: str, unit: int) -> Synthetic:
    """Record `index` of the dataset, of machine `unit` with `fault`.

    `snr_db` relates a fault of severity 1 to the background noise, so that the noise of a healthy machine is no
    louder. Raises `ValueError` for a fault that is not in `ROLLING_FAULTS`."""
    if fault not in ROLLING_FAULTS:
        raise ValueError(f"{fault!r} is not one of {ROLLING_FAULTS}")
    machine = draw_rolling_unit(spec, fault, unit)
    rng = record_rng(spec.seed, index)
    samples = round(spec.duration_s * spec.sample_rate_hz)
    snr_db = rng.uniform(*spec.snr_db)
    # The load of the day changes the speed a little from record to record.
    speed_hz = machine.speed_rpm / 60 * rng.uniform(0.99, 1.0)
    shaft = draw_shaft(rng, speed_hz, samples, spec.sample_rate_hz, spec.speed_wander)
    rates = fault_rates(spec.bearing, speed_hz * 60)
    response_L = machine.structure.response_L(spec.sample_rate_hz)
    signal_L = 10 ** (-snr_db / 20) * noise_L(rng, samples, response_L)
    signal_L += machine.hum * hum_L(rng, machine.mains_hz, samples, spec.sample_rate_hz)
    signal_L += machine.residual_1x * shaft.tone_L(1, rng.uniform(0, 2 * pi))
    signal_L += machine.residual_2x * shaft.tone_L(2, rng.uniform(0, 2 * pi))
    if fault != "healthy":
        signal_L += machine.severity * _fault_L(rng, machine, fault, shaft, rates, response_L)
    return Synthetic(digitise(machine.gain * signal_L[None, :]), speed_hz * 60, machine.severity, snr_db)


def _fault_L(rng: Rng, machine: RollingUnit, fault: str, shaft: Shaft, rates: FaultRates, response_L: Array) -> Array:
    """The fault's part of the signal, RMS 1."""
    parts = _STRIKES["outer_race"] + _STRIKES["inner_race"] if fault == "combined" else _STRIKES[fault]
    part_L = np.zeros(len(shaft.turns_L))
    for make in parts:
        turns, amplitudes = make(rng, machine, shaft, rates)
        amplitudes = amplitudes * rng.normal(1.0, 0.1, len(amplitudes))
        times_s = shaft.times_s(turns)
        one_L = impacts_L(times_s, amplitudes, response_L, len(part_L), shaft.sample_rate_hz)
        part_L += one_L / max(float(np.sqrt(np.square(one_L).mean())), 1e-12)
    return part_L / max(float(np.sqrt(np.square(part_L).mean())), 1e-12)


def _strikes(rng: Rng, shaft: Shaft, order: float, jitter: float) -> Array:
    """Turns of the shaft at which impacts happen: `order` per turn, every gap with its own error (errors add up)."""
    spacing = 1 / order
    first, last = float(shaft.turns_L[0]), float(shaft.turns_L[-1])
    count = int((last - first) / spacing * 1.2) + 10
    gaps = spacing * np.maximum(1 + jitter * rng.standard_normal(count), 0.1)
    turns: Array = first + rng.uniform(0, spacing) + np.cumsum(gaps) - gaps[0]
    return turns[turns < last]


def _load(machine: RollingUnit, angle_turns: Array) -> Array:
    """Stribeck's load at an angle from the load direction: (1 - (1 - cos a) / 2e)^1.5 in the load zone, 0 outside."""
    inside = 1 - (1 - np.cos(2 * pi * angle_turns)) / (2 * machine.load_zone)
    return np.maximum(inside, 0.0) ** 1.5


def _outer_race(rng: Rng, machine: RollingUnit, shaft: Shaft, rates: FaultRates) -> tuple[Array, Array]:
    """The defect stays in the load zone: even impacts at BPFO."""
    turns = _strikes(rng, shaft, rates.outer_race_hz / rates.shaft_hz * (1 - machine.slip), machine.jitter)
    return turns, np.ones(len(turns))


def _inner_race(rng: Rng, machine: RollingUnit, shaft: Shaft, rates: FaultRates) -> tuple[Array, Array]:
    """The defect turns with the shaft through the load zone: impacts at BPFI, louder and weaker once per turn."""
    # Rollers that orbit slower meet the inner race more often.
    turns = _strikes(rng, shaft, rates.inner_race_hz / rates.shaft_hz * (1 + machine.slip), machine.jitter)
    return turns, 0.1 + _load(machine, turns + rng.uniform(0, 1))


def _ball(rng: Rng, machine: RollingUnit, shaft: Shaft, rates: FaultRates) -> tuple[Array, Array]:
    """The defect strikes both races in one spin, the inner one less audibly, and orbits with the cage (FTF)."""
    spin = rates.ball_spin_hz / rates.shaft_hz * (1 - machine.slip)
    turns = _strikes(rng, shaft, 2 * spin, machine.jitter)
    cage = rates.cage_hz / rates.shaft_hz * (1 - machine.slip)
    race = np.where(np.arange(len(turns)) % 2 == 0, 1.0, 0.8)
    return turns, race * (0.25 + _load(machine, turns * cage + rng.uniform(0, 1)))


def _cage(rng: Rng, machine: RollingUnit, shaft: Shaft, rates: FaultRates) -> tuple[Array, Array]:
    """A broken cage lets the rollers knock once per turn of it (FTF); a knock is a short volley."""
    cage = rates.cage_hz / rates.shaft_hz * (1 - machine.slip)
    first = _strikes(rng, shaft, cage, machine.jitter)
    volley = np.array([0.0, 0.02, 0.045])
    turns = (first[:, None] + volley).ravel()
    return turns, np.tile([1.0, 0.6, 0.3], len(first))


_STRIKES = {"outer_race": (_outer_race,), "inner_race": (_inner_race,), "ball": (_ball,), "cage": (_cage,)}

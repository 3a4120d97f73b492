"""Kinematic fault rates of a rolling-element bearing.

Source: Randall and Antoni, "Rolling element bearing diagnostics: a tutorial", Mechanical Systems and Signal Processing
25 (2011), equations 1-4, for a stationary outer ring.
"""

from dataclasses import dataclass
from math import cos, radians

from shared.contracts.specs import BearingGeometry


@dataclass(frozen=True)
class FaultRates:
    """Rates in Hz. Real ones differ by 1-2 %, because rollers slip."""

    shaft_hz: float
    cage_hz: float  #: FTF: turns of the cage
    outer_race_hz: float  #: BPFO: rollers that pass a point of the outer race
    inner_race_hz: float  #: BPFI: rollers that pass a point of the inner race
    ball_spin_hz: float  #: BSF: turns of a roller; a defect on it strikes twice per turn


def fault_rates(bearing: BearingGeometry, shaft_speed_rpm: float) -> FaultRates:
    """Fault rates of `bearing` at a shaft speed. Raises `ValueError` for a speed that is not positive."""
    if not shaft_speed_rpm > 0:
        raise ValueError(f"shaft_speed_rpm must be positive, not {shaft_speed_rpm}")
    shaft_hz = shaft_speed_rpm / 60
    diameters = bearing.roller_diameter_mm / bearing.pitch_diameter_mm
    k = diameters * cos(radians(bearing.contact_angle_deg))
    return FaultRates(
        shaft_hz=shaft_hz,
        cage_hz=shaft_hz / 2 * (1 - k),
        outer_race_hz=bearing.rollers * shaft_hz / 2 * (1 - k),
        inner_race_hz=bearing.rollers * shaft_hz / 2 * (1 + k),
        ball_spin_hz=shaft_hz / (2 * diameters) * (1 - k * k),
    )

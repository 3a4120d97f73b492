import pytest

from shared.contracts.specs import BearingGeometry
from shared.signals.bearing import fault_rates


def test_the_rates_of_the_6205_at_1797_rpm_are_those_of_its_data_sheet():
    rates = fault_rates(BearingGeometry(), 1797)
    assert rates.shaft_hz == pytest.approx(29.95)
    assert rates.outer_race_hz == pytest.approx(107.4, abs=0.1)
    assert rates.inner_race_hz == pytest.approx(162.2, abs=0.1)
    assert rates.ball_spin_hz == pytest.approx(70.6, abs=0.1)
    assert rates.cage_hz == pytest.approx(11.9, abs=0.1)


def test_outer_and_inner_race_together_see_every_roller_once_per_turn():
    rates = fault_rates(BearingGeometry(rollers=13, contact_angle_deg=15), 3000)
    assert rates.outer_race_hz + rates.inner_race_hz == pytest.approx(13 * 50)
    assert rates.outer_race_hz == pytest.approx(13 * rates.cage_hz)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_is_not_positive_is_refused(speed):
    with pytest.raises(ValueError, match="positive"):
        fault_rates(BearingGeometry(), speed)

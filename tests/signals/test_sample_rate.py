import numpy as np
import pytest

from shared.errors import UserError
from shared.signals.sample_rate import decide_sample_rate

SPEED_RPM = 1796.0


def shaft_lines(rate_hz, orders=range(1, 13), seconds=4.0, speed_rpm=SPEED_RPM, noise=1.0):
    rng = np.random.default_rng(11)
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    signal = noise * rng.standard_normal(len(time_s))
    for order in orders:
        signal += 0.3 * np.sin(2 * np.pi * order * speed_rpm / 60 * time_s + rng.uniform(0, 6))
    return signal


@pytest.mark.parametrize("rate_hz", [12_000, 48_000])
def test_the_true_rate_is_decided_though_48_khz_data_fit_12_khz_at_every_fourth_line(rate_hz):
    decision = decide_sample_rate(shaft_lines(rate_hz), [48_000, 12_000], SPEED_RPM)
    assert decision.sample_rate_hz == rate_hz
    assert decision.confidence > 0.99
    assert decision.shaft_line_hz == pytest.approx(SPEED_RPM / 60, rel=0.005)


def test_rates_without_a_common_factor_are_told_apart():
    assert decide_sample_rate(shaft_lines(25_600), [12_000, 25_600, 20_480], SPEED_RPM).sample_rate_hz == 25_600


def test_a_speed_that_is_half_a_percent_off_is_tolerated():
    assert decide_sample_rate(shaft_lines(12_000), [12_000, 48_000], SPEED_RPM * 1.005).sample_rate_hz == 12_000


def test_a_single_candidate_is_taken_as_given():
    assert decide_sample_rate(np.zeros(10), [12_000], None).sample_rate_hz == 12_000


def test_noise_without_shaft_lines_is_refused_with_a_remedy():
    noise = np.random.default_rng(3).standard_normal(48_000)
    with pytest.raises(UserError, match="do not decide") as caught:
        decide_sample_rate(noise, [12_000, 48_000], SPEED_RPM)
    assert "only value" in caught.value.remedy


def test_one_line_alone_is_refused_because_a_mains_line_would_do_as_well():
    with pytest.raises(UserError, match="do not decide"):
        decide_sample_rate(shaft_lines(48_000, orders=[1]), [12_000, 48_000], SPEED_RPM)


def test_rates_closer_than_the_tolerance_of_the_speed_are_refused():
    with pytest.raises(UserError, match="do not decide"):
        decide_sample_rate(shaft_lines(12_000), [12_000, 12_010], SPEED_RPM)


def test_without_a_speed_several_candidates_are_undecidable():
    with pytest.raises(UserError, match="Without a shaft speed"):
        decide_sample_rate(shaft_lines(12_000), [12_000, 48_000], None)


def test_a_record_that_does_not_resolve_the_shaft_is_refused():
    with pytest.raises(UserError, match="too few"):
        decide_sample_rate(shaft_lines(12_000, seconds=0.2), [12_000, 48_000], SPEED_RPM)


def test_a_constant_signal_is_refused():
    with pytest.raises(UserError, match="do not decide"):
        decide_sample_rate(np.zeros(100_000), [12_000, 48_000], SPEED_RPM)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.specs import BearingGeometry, GenerateSpec
from shared.features import (
    BAND_NAMES,
    FEATURE_NAMES,
    ROLLING_NAMES,
    band_features_NF,
    features_NF,
    rolling_features_NF,
    window_feature_names,
    window_features_NF,
)
from shared.signals.synthesis import rolling_record

BEARING = BearingGeometry()
SPEC = GenerateSpec(name="t", duration_s=2.0, snr_db=(6, 12), severity=(0.7, 1.0))


def windows_of(fault, unit):
    record = rolling_record(SPEC, unit, fault, unit)
    return record.signal_CL[0].reshape(2, -1), record.shaft_speed_rpm


def named(fault, unit):
    windows, speed_rpm = windows_of(fault, unit)
    row = rolling_features_NF(windows, 12_000, BEARING, speed_rpm)[0]
    return dict(zip(ROLLING_NAMES, row, strict=True))


def test_names_are_different_and_start_with_the_bands():
    assert len(set(ROLLING_NAMES)) == len(ROLLING_NAMES) == 62
    assert ROLLING_NAMES[: len(BAND_NAMES)] == BAND_NAMES


@pytest.mark.parametrize("unit", range(4))
@pytest.mark.parametrize("fault", ["outer_race", "inner_race", "ball"])
def test_the_line_of_the_fault_is_the_clearest(fault, unit):
    values = named(fault, unit)
    harmonics = {rate: values[f"mean_{rate}_harmonics_snr"] for rate in ("outer", "inner", "ball")}
    assert max(harmonics, key=lambda rate: harmonics[rate]) == fault.removesuffix("_race")


@pytest.mark.parametrize("unit", range(4))
def test_contrasts_have_the_sign_of_the_fault(unit):
    assert named("outer_race", unit)["mean_outer_over_inner"] > 0.3
    assert named("inner_race", unit)["mean_outer_over_inner"] < -0.3
    assert abs(named("healthy", unit)["mean_outer_over_inner"]) < 0.5


def test_neither_gain_nor_offset_nor_sign_matter():
    windows, speed_rpm = windows_of("inner_race", 0)
    first = rolling_features_NF(windows.astype(float), 12_000, BEARING, speed_rpm)
    for changed in (1e-6 * windows.astype(float), 37.0 - 1e3 * windows.astype(float)):
        np.testing.assert_allclose(rolling_features_NF(changed, 12_000, BEARING, speed_rpm), first, atol=1e-6)


def test_one_speed_per_window_is_as_good_as_one_call_per_speed():
    windows, _ = windows_of("ball", 0)
    speeds = np.array([1797.0, 1500.0])
    together = rolling_features_NF(windows, 12_000, BEARING, speeds)
    for row in range(2):
        alone = rolling_features_NF(windows[row : row + 1], 12_000, BEARING, speeds[row])
        np.testing.assert_array_equal(together[row : row + 1], alone)


def test_the_features_of_a_window_do_not_depend_on_its_batch():
    windows = np.random.default_rng(1).standard_normal((120, 2400)).astype(np.float32)
    together = rolling_features_NF(windows, 12_000, BEARING, 1797)
    np.testing.assert_array_equal(together[119:], rolling_features_NF(windows[119:], 12_000, BEARING, 1797))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_not_positive_is_refused(speed):
    with pytest.raises(ValueError, match="positive"):
        rolling_features_NF(np.ones((1, 100)), 12_000, BEARING, speed)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(16, 3000),
    rate_hz=st.floats(100, 1e6),
    speed_rpm=st.floats(1, 200_000),
    scale=st.sampled_from([0.0, 1e-30, 1.0, 1e6]),
)
def test_any_window_rate_and_speed_give_finite_features(samples, rate_hz, speed_rpm, scale):
    windows = scale * np.random.default_rng(samples).standard_normal((2, samples))
    assert np.isfinite(rolling_features_NF(windows, rate_hz, BEARING, speed_rpm)).all()
    assert np.isfinite(band_features_NF(windows)).all()


def test_the_feature_set_follows_what_is_known_of_the_machine():
    windows, speed_rpm = windows_of("ball", 0)
    known = window_features_NF(windows, 12_000, BEARING, speed_rpm)
    np.testing.assert_array_equal(known, rolling_features_NF(windows, 12_000, BEARING, speed_rpm))
    assert window_feature_names(rolling=True) == ROLLING_NAMES
    for bearing, speed in ((None, speed_rpm), (BEARING, None), (None, None)):
        unknown = window_features_NF(windows, 12_000, bearing, speed)
        np.testing.assert_array_equal(unknown, features_NF(windows, 12_000))
    assert window_feature_names(rolling=False) == FEATURE_NAMES

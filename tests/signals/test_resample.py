import numpy as np
import pytest

from shared.errors import UserError
from shared.signals.resample import resample_CL


def tone(hz, rate_hz, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz).astype(np.float32)[None, :]


def rms(signal_CL):
    middle = signal_CL[:, signal_CL.shape[1] // 4 : -signal_CL.shape[1] // 4]
    return float(np.sqrt(np.square(middle, dtype=np.float64).mean()))


@pytest.mark.parametrize("hz", [30, 1000, 5500])
def test_a_tone_below_the_new_nyquist_keeps_its_amplitude_and_frequency(hz):
    down = resample_CL(tone(hz, 48_000), 48_000, 12_000)
    assert down.dtype == np.float32
    assert down.shape == (1, 12_000)
    assert rms(down) == pytest.approx(np.sqrt(0.5), rel=0.002)
    assert np.abs(np.fft.rfft(down[0])).argmax() == hz


@pytest.mark.parametrize("hz", [6050, 7000, 13_000])
def test_a_tone_above_the_new_nyquist_does_not_fold_back(hz):
    assert rms(resample_CL(tone(hz, 48_000), 48_000, 12_000)) < 2e-4


def test_a_ratio_of_integers_keeps_the_mean():
    signal = tone(100, 25_600) + np.float32(3)
    resampled = resample_CL(signal, 25_600, 12_000)
    assert resampled.shape == (1, 12_000)
    assert resampled.mean() == pytest.approx(3, abs=0.01)


def test_equal_rates_change_nothing():
    signal = tone(100, 12_000)
    assert resample_CL(signal, 12_000, 12_000) is signal


@pytest.mark.parametrize("rates", [(48_000, 12_000.37), (0, 12_000), (48_000, float("nan"))])
def test_rates_without_a_small_ratio_are_refused(rates):
    with pytest.raises(UserError):
        resample_CL(tone(100, 12_000), *rates)


def test_rates_too_far_apart_are_refused_for_that_reason():
    with pytest.raises(UserError, match="times apart"):
        resample_CL(np.ones((1, 2000), dtype=np.float32), 10_000_000, 100)


def test_values_that_overflow_by_resampling_are_refused_and_never_infinite():
    edge = np.float32(3.3e38) * np.sign(np.random.default_rng(0).standard_normal((1, 4000))).astype(np.float32)
    with pytest.raises(UserError, match="beyond"):
        resample_CL(edge, 12_000, 6000)

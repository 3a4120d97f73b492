import numpy as np
import pytest

from shared.signals.envelope import candidate_bands_hz, clearest_line, envelope_spectrum, line_at, select_band

RATE_HZ = 12_000


def impacts(every_hz, resonance_hz, seconds=2.0, noise=0.3):
    rng = np.random.default_rng(5)
    time_s = np.arange(int(0.01 * RATE_HZ)) / RATE_HZ
    ring = np.exp(-500 * time_s) * np.sin(2 * np.pi * resonance_hz * time_s)
    signal = noise * rng.standard_normal(int(seconds * RATE_HZ))
    for start in (np.arange(1, seconds * every_hz - 2) / every_hz * RATE_HZ).astype(int):
        signal[start : start + len(ring)] += ring
    return signal


def test_the_envelope_of_an_amplitude_modulated_tone_has_its_line_at_the_modulation_with_its_depth():
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    signal = (2 + 0.5 * np.cos(2 * np.pi * 100 * time_s)) * np.sin(2 * np.pi * 3000 * time_s)
    spectrum = envelope_spectrum(signal, RATE_HZ, (2500, 3500))
    assert spectrum.hz_K[spectrum.amplitude_K.argmax()] == pytest.approx(100)
    assert spectrum.amplitude_K.max() == pytest.approx(0.5, rel=0.01)


def test_impacts_show_at_their_rate_and_the_band_of_their_resonance_is_selected():
    signal = impacts(80, 4200)
    band = select_band(signal, RATE_HZ)
    assert band.low_hz < 4200 < band.high_hz
    assert band.spectral_kurtosis > 1
    line = line_at(envelope_spectrum(signal, RATE_HZ, (band.low_hz, band.high_hz)), 80)
    assert line.clear
    assert line.hz == pytest.approx(80, abs=0.5)


def test_a_rate_that_slips_by_one_percent_is_still_found():
    line, _ = clearest_line(impacts(80.8, 4200), RATE_HZ, 80)
    assert line.clear
    assert line.hz == pytest.approx(80.8, abs=0.5)


def test_noise_has_no_clear_line():
    noise = np.random.default_rng(1).standard_normal(4 * RATE_HZ)
    spectrum = envelope_spectrum(noise, RATE_HZ, (2000, 4000))
    assert not any(line_at(spectrum, hz).clear for hz in range(20, 500, 7))


def test_candidate_bands_stay_below_the_roll_off_and_wide_enough():
    for low_hz, high_hz in candidate_bands_hz(RATE_HZ):
        assert 0 < low_hz < high_hz <= 0.94 * RATE_HZ / 2 + 1e-9
        assert high_hz - low_hz >= 400


@pytest.mark.parametrize("band", [(3000, 2000), (0, 7000), (-1, 100)])
def test_a_band_outside_the_spectrum_is_refused(band):
    with pytest.raises(ValueError, match="band"):
        envelope_spectrum(np.ones(1000), RATE_HZ, band)


def test_a_line_that_the_record_is_too_short_for_is_refused():
    with pytest.raises(ValueError, match="resolution"):
        line_at(envelope_spectrum(np.random.default_rng(0).standard_normal(1200), RATE_HZ, (1000, 3000)), 5.0)

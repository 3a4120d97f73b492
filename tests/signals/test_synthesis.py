"""Each synthetic fault shows what its physics says, and nothing depends on anything but seed and number."""

import numpy as np
import pytest

from shared.contracts.specs import GenerateSpec
from shared.signals.bearing import fault_rates
from shared.signals.dataset import record_digest
from shared.signals.envelope import envelope_spectrum, line_at, select_band
from shared.signals.families import FAMILIES
from shared.signals.machine import draw_shaft, hum_L, pink_L, record_rng, unit_rng
from shared.signals.synthesis import ROLLING_FAULTS, draw_rolling_unit, rolling_record

SPEC = GenerateSpec(name="t", duration_s=4.0, snr_db=(6, 12), severity=(0.7, 1.0))
WHOLE_HZ = (240.0, 5640.0)


def envelope_of(fault, unit=0, index=0):
    record = rolling_record(SPEC, index, fault, unit)
    return envelope_spectrum(record.signal_CL[0], 12_000, WHOLE_HZ), fault_rates(SPEC.bearing, record.shaft_speed_rpm)


def level(spectrum, hz):
    """Highest amplitude within 2.5 % of a frequency."""
    near = np.abs(spectrum.hz_K - hz) <= max(0.025 * hz, 0.8)
    return spectrum.amplitude_K[near].max()


@pytest.mark.parametrize("unit", range(3))
@pytest.mark.parametrize(
    ("fault", "rate", "others"),
    [
        ("outer_race", "outer", ["inner", "ball", "cage"]),
        ("inner_race", "inner", ["outer", "ball"]),
        ("ball", "ball", ["outer", "inner"]),
        ("cage", "cage", []),
    ],
)
def test_the_envelope_peaks_at_the_rate_of_the_fault(fault, rate, others, unit):
    spectrum, rates = envelope_of(fault, unit)
    hz = {
        "outer": rates.outer_race_hz,
        "inner": rates.inner_race_hz,
        "ball": 2 * rates.ball_spin_hz,
        "cage": rates.cage_hz,
    }
    own = line_at(spectrum, hz[rate])
    assert own.snr > 8
    assert all(own.snr > 1.5 * line_at(spectrum, hz[other]).snr for other in others)


@pytest.mark.parametrize("unit", range(3))
def test_inner_race_impacts_have_sidebands_at_the_shaft_speed_and_outer_race_impacts_have_none(unit):
    spectrum, rates = envelope_of("inner_race", unit)
    side = level(spectrum, rates.inner_race_hz - rates.shaft_hz)
    assert side > 0.3 * level(spectrum, rates.inner_race_hz)
    assert level(spectrum, rates.shaft_hz) > 0.3 * level(spectrum, rates.inner_race_hz)
    spectrum, rates = envelope_of("outer_race", unit)
    assert level(spectrum, rates.shaft_hz) < 0.2 * level(spectrum, rates.outer_race_hz)


@pytest.mark.parametrize("unit", range(3))
def test_ball_impacts_come_twice_per_spin_and_swell_with_the_cage(unit):
    spectrum, rates = envelope_of("ball", unit)
    assert level(spectrum, 2 * rates.ball_spin_hz) > 1.5 * level(spectrum, rates.ball_spin_hz)
    assert level(spectrum, rates.cage_hz) > 0.3 * level(spectrum, 2 * rates.ball_spin_hz)


def test_a_combined_fault_shows_both_races():
    spectrum, rates = envelope_of("combined")
    assert line_at(spectrum, rates.outer_race_hz).snr > 8
    assert line_at(spectrum, rates.inner_race_hz).snr > 5


@pytest.mark.parametrize("unit", range(3))
def test_a_healthy_machine_has_a_residual_1x_but_no_fault_line_and_no_impacts(unit):
    record = rolling_record(SPEC, 0, "healthy", unit)
    spectrum, rates = envelope_of("healthy", unit)
    for hz in (rates.outer_race_hz, rates.inner_race_hz, 2 * rates.ball_spin_hz):
        assert line_at(spectrum, hz).snr < 5
    assert select_band(record.signal_CL[0], 12_000).spectral_kurtosis < 0.5
    power = np.abs(np.fft.rfft(record.signal_CL[0] * np.hanning(48_000)))
    first = round(rates.shaft_hz * 4)
    assert power[first - 2 : first + 3].max() > 5 * np.median(power[first - 40 : first + 40])


def test_loudness_does_not_tell_the_fault():
    """Gain differs by a factor of ten between units: the loudest healthy machines are louder than most faulty ones."""
    spec = SPEC.model_copy(update={"duration_s": 0.5, "snr_db": (0.0, 12.0), "severity": (0.3, 1.0)})
    rms = {
        fault: [rolling_record(spec, unit, fault, unit).signal_CL.std() for unit in range(30)]
        for fault in ("healthy", "outer_race")
    }
    assert np.quantile(rms["healthy"], 0.75) > np.quantile(rms["outer_race"], 0.25)
    assert max(rms["healthy"]) > np.median(rms["outer_race"])


def test_a_record_depends_on_seed_and_number_alone():
    spec = SPEC.model_copy(update={"duration_s": 0.5})
    wanted = record_digest(rolling_record(spec, 7, "ball", 1).signal_CL)
    rolling_record(spec, 3, "cage", 0)
    assert record_digest(rolling_record(spec, 7, "ball", 1).signal_CL) == wanted
    more_units = spec.model_copy(update={"units_per_fault": 99, "name": "other"})
    assert record_digest(rolling_record(more_units, 7, "ball", 1).signal_CL) == wanted
    others = [
        rolling_record(spec, 8, "ball", 1),
        rolling_record(spec, 7, "ball", 2),
        rolling_record(spec.model_copy(update={"seed": 8}), 7, "ball", 1),
    ]
    assert wanted not in {record_digest(other.signal_CL) for other in others}


def test_a_unit_is_the_same_in_all_its_records():
    assert draw_rolling_unit(SPEC, "ball", 3) == draw_rolling_unit(SPEC, "ball", 3)
    assert draw_rolling_unit(SPEC, "ball", 3) != draw_rolling_unit(SPEC, "ball", 4)
    assert draw_rolling_unit(SPEC, "ball", 3) != draw_rolling_unit(SPEC, "cage", 3)
    speeds = {rolling_record(SPEC, index, "ball", 3).shaft_speed_rpm for index in range(3)}
    assert len(speeds) == 3
    assert max(speeds) / min(speeds) < 1.011


def test_streams_of_units_and_records_never_meet():
    draws = [unit_rng(7, "ball", 1), record_rng(7, 1), unit_rng(7, "ball", 2), record_rng(8, 1), record_rng(7, 2**40)]
    assert len({rng.integers(2**62) for rng in draws}) == len(draws)


@pytest.mark.parametrize("fault", ROLLING_FAULTS)
@pytest.mark.parametrize("sample_rate_hz", [100.0, 2000.0, 97_656.25])
def test_any_sample_rate_gives_finite_records_of_the_right_length(fault, sample_rate_hz):
    spec = SPEC.model_copy(update={"sample_rate_hz": sample_rate_hz, "duration_s": 0.3})
    signal_CL = rolling_record(spec, 0, fault, 0).signal_CL
    assert signal_CL.shape == (1, round(0.3 * sample_rate_hz))
    assert signal_CL.dtype == np.float32
    assert np.isfinite(signal_CL).all()
    assert signal_CL.std() > 0


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="'rust'"):
        rolling_record(SPEC, 0, "rust", 0)


def test_the_speed_varies_inside_a_record_and_its_mean_is_the_stated_one():
    shaft = draw_shaft(np.random.default_rng(0), 30.0, 120_000, 12_000)
    speed_hz = np.diff(shaft.turns_L) * 12_000
    assert speed_hz.mean() == pytest.approx(30, rel=0.002)
    assert 0.0005 < speed_hz.std() / 30 < 0.01
    np.testing.assert_allclose(shaft.times_s(shaft.turns_L[[5, 1000]]), np.array([5, 1000]) / 12_000, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_speed_of_a_record_wanders_as_much_as_told(family):
    """Nothing told is as it always was; a shaft that wanders most never turns back."""
    fault = "healthy"

    def signal_L(**wander):
        spec = GenerateSpec(name="d", family=family, faults=[fault], **wander)
        return FAMILIES[family].record(spec, 0, fault, 0).signal_CL[0]

    assert np.array_equal(signal_L(), signal_L(speed_wander=0.003))
    assert not np.array_equal(signal_L(), signal_L(speed_wander=0.05))
    widest = draw_shaft(np.random.default_rng(0), 30.0, 120_000, 12_000, wander=0.1)
    speed_hz = np.diff(widest.turns_L) * 12_000
    assert speed_hz.std() / 30 == pytest.approx(0.1, rel=0.2)
    assert speed_hz.min() > 0


def test_pink_noise_has_equal_power_in_every_octave():
    power = np.abs(np.fft.rfft(pink_L(np.random.default_rng(0), 1 << 18))) ** 2
    octaves = [power[1 << k : 2 << k].sum() for k in range(8, 16)]
    assert max(octaves) / min(octaves) < 1.3


def test_hum_is_exactly_at_the_mains_and_its_odd_harmonics():
    spectrum = np.abs(np.fft.rfft(hum_L(np.random.default_rng(0), 50.0, 24_000, 12_000))) / 12_000
    assert np.flatnonzero(spectrum > 0.01).tolist() == [100, 300, 500]
    assert spectrum[100] == pytest.approx(1)

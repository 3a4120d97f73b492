import numpy as np
import pytest

from shared.contracts.specs import GenerateSpec
from shared.signals.dataset import record_digest
from shared.signals.journal import JOURNAL_FAULTS, journal_record

RATE_HZ = 20_480
SPEC = GenerateSpec(
    name="t",
    family="journal",
    duration_s=4.0,
    sample_rate_hz=RATE_HZ,
    shaft_speed_rpm=(3240, 3960),
    snr_db=(6, 12),
    severity=(0.7, 1.0),
)


class Look:
    """Spectrum of one record in orders of the shaft."""

    def __init__(self, fault, unit):
        self.record = journal_record(SPEC, 5, fault, unit)
        self.x, self.y = self.record.signal_CL
        window = np.hanning(len(self.x))
        self.power = np.abs(np.fft.rfft(self.x * window)) ** 2
        self.hz = np.fft.rfftfreq(len(self.x), 1 / RATE_HZ)
        self.shaft_hz = self.record.shaft_speed_rpm / 60

    def energy(self, low, high=None):
        """Energy around an order, or between two frequencies in Hz."""
        low, high = (self.shaft_hz * (low - 0.03), self.shaft_hz * (low + 0.03)) if high is None else (low, high)
        return self.power[(self.hz >= low) & (self.hz <= high)].sum()

    @property
    def dominant_order(self):
        return self.hz[self.power.argmax()] / self.shaft_hz


units = pytest.mark.parametrize("unit", range(3))


@units
def test_imbalance_is_a_round_1x_orbit(unit):
    look = Look("imbalance", unit)
    assert look.dominant_order == pytest.approx(1, abs=0.02)
    assert look.energy(1) > 10 * look.energy(2)
    assert 0.5 < look.y.std() / look.x.std() < 1.1


@units
def test_misalignment_is_2x_above_1x_with_3x_in_a_flat_orbit(unit):
    look = Look("misalignment", unit)
    assert look.dominant_order == pytest.approx(2, abs=0.02)
    assert look.energy(2) > 2 * look.energy(1)
    assert look.energy(3) > 10 * look.energy(3.5)


@units
def test_looseness_has_one_half_x_and_its_multiples(unit):
    look = Look("looseness", unit)
    for order in (0.5, 1, 1.5, 2, 3):
        assert look.energy(order) > 5 * look.energy(order + 0.25)


@units
def test_oil_whirl_dominates_below_half_the_speed(unit):
    look = Look("oil_whirl", unit)
    assert 0.41 < look.dominant_order < 0.49


@units
def test_lubrication_sways_slowly(unit):
    look = Look("lubrication", unit)
    assert look.energy(1, 6) > 3 * look.energy(10, 20)


@units
def test_cavitation_bursts_lie_in_1400_to_2600_hz_and_in_every_quarter_of_a_second(unit):
    look = Look("cavitation", unit)
    assert look.energy(1350, 2750) > 3 * look.energy(4000, 5400)
    spectrum = np.fft.rfft(look.x)
    spectrum[(look.hz < 1350) | (look.hz > 2750)] = 0
    in_band = np.fft.irfft(spectrum)
    quarters = in_band.reshape(16, -1)
    assert (np.abs(quarters).max(axis=1) > 2 * in_band.std()).all()


@units
def test_wear_is_broadband_noise_that_swells_once_per_turn(unit):
    look = Look("wear", unit)
    spectrum = np.fft.fft(look.x)
    hz = np.abs(np.fft.fftfreq(len(look.x), 1 / RATE_HZ))
    spectrum[hz < 500] = 0
    power = np.abs(np.fft.rfft(np.fft.ifft(spectrum).real ** 2))
    turn = round(look.shaft_hz * 4)
    assert power[turn - 3 : turn + 4].max() > 5 * np.median(power[10:1000])


@units
def test_a_healthy_machine_keeps_a_1x_residual(unit):
    look = Look("healthy", unit)
    assert look.energy(1) > 3 * look.energy(1.3)


@pytest.mark.parametrize("fault", JOURNAL_FAULTS)
def test_records_are_repeatable_finite_and_of_two_channels(fault):
    spec = SPEC.model_copy(update={"duration_s": 0.3})
    record = journal_record(spec, 9, fault, 2)
    assert record.signal_CL.shape == (2, 6144)
    assert np.isfinite(record.signal_CL).all()
    assert record_digest(record.signal_CL) == record_digest(journal_record(spec, 9, fault, 2).signal_CL)


def test_tones_do_not_start_at_a_fixed_phase():
    starts = [journal_record(SPEC.model_copy(update={"duration_s": 0.3}), i, "oil_whirl", 0) for i in range(8)]
    assert np.std([record.signal_CL[0, :20].mean() / record.signal_CL[0].std() for record in starts]) > 0.3


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="'rust'"):
        journal_record(SPEC, 0, "rust", 0)

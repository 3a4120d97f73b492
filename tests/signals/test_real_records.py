"""What is claimed of real bearings, on real records."""

import pytest

from shared.contracts.specs import BearingGeometry
from shared.signals.bearing import fault_rates
from shared.signals.envelope import envelope_spectrum, line_at, select_band
from shared.signals.sample_rate import decide_sample_rate
from tests.signals.real import named, needs_real_records, real_files, real_record, speed_rpm

pytestmark = needs_real_records


@pytest.fixture(scope="module")
def lines():
    """Per file: fault, size, and which of the three impact rates are clear in the band of highest spectral kurtosis."""
    found = {}
    for path in real_files():
        match = named(path)
        record = real_record(path.name)
        rates = fault_rates(BearingGeometry(), speed_rpm(record))
        signal_L = record.signal_CL[0]
        rate_hz = 48_000 if match["fault"] == "normal" else 12_000
        band = select_band(signal_L, rate_hz)
        spectrum = envelope_spectrum(signal_L, rate_hz, (band.low_hz, band.high_hz))
        looked_at = {"or": rates.outer_race_hz, "ir": rates.inner_race_hz, "b": 2 * rates.ball_spin_hz}
        clear = {fault for fault, hz in looked_at.items() if line_at(spectrum, hz).clear}
        found[path.name] = (match["fault"], match["size"], clear)
    return found


def test_the_sample_rate_of_all_19_records_is_decided_and_only_the_normal_one_is_at_48_khz():
    decided = {}
    for path in real_files():
        record = real_record(path.name)
        decision = decide_sample_rate(record.signal_CL[0], [12_000, 48_000], record.shaft_speed_rpm)
        assert decision.confidence > 0.999, path.name
        assert decision.shaft_line_hz == pytest.approx(speed_rpm(record) / 60, rel=0.005), path.name
        decided[path.name] = decision.sample_rate_hz
    assert len(decided) == 19
    assert [name for name, rate in decided.items() if rate == 48_000] == ["97_normal_0hp.mat"]


def test_the_inner_race_line_is_clear_in_all_six_inner_records(lines):
    assert [clear for fault, _, clear in lines.values() if fault == "ir"] == [{"ir"}] * 6


def test_the_outer_race_line_is_clear_in_four_of_six_outer_records_and_weak_at_014(lines):
    outer = {(size, "or" in clear) for fault, size, clear in lines.values() if fault == "or"}
    assert outer == {("007", True), ("014", False), ("021", True)}


def test_the_ball_line_is_clear_in_none_of_six_ball_records(lines):
    assert not any("b" in clear for fault, _, clear in lines.values() if fault == "b")


def test_no_fault_line_is_clear_where_the_fault_is_another_or_none(lines):
    assert all(clear <= {fault} for fault, _, clear in lines.values())

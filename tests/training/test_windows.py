"""Cutting and standardising."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.training.windows import Piece, cut, head_and_tail, one_sample_rate_hz, standardised, whole, window_samples
from shared.errors import UserError
from tests.training.support import record_info

RAMP = {"r": np.arange(1000, dtype=np.float32)[None], "s": -np.arange(1000, dtype=np.float32)[None]}


def ramp_CL(record):
    return RAMP[record.id]


def test_overlapping_windows_cover_the_record_and_stay_inside():
    windows = cut([whole(record_info("r", "a", "u"))], ramp_CL, ["a"], samples=100, overlap=0.5)
    assert windows.start_N.tolist() == list(range(0, 901, 50))
    assert windows.raw_NCL(np.array([1]))[0, 0, :3].tolist() == [50, 51, 52]


def test_windows_do_not_overlap_unless_asked_to():
    windows = cut([whole(record_info("r", "a", "u"))], ramp_CL, ["a"], samples=300)
    assert windows.start_N.tolist() == [0, 300, 600]


def test_every_window_carries_the_fault_and_the_samples_of_its_own_record():
    pieces = [whole(record_info("r", "b", "u")), Piece(record_info("s", "a", "v"), 500, 1000)]
    windows = cut(pieces, ramp_CL, ["a", "b"], samples=250)
    assert windows.label_N.tolist() == [1, 1, 1, 1, 0, 0]
    raw = windows.raw_NCL(np.arange(6))
    assert (raw[:4] >= 0).all()
    assert raw[4, 0, 0] == -500


def test_head_and_tail_share_no_sample():
    head, tail = head_and_tail(record_info("r", "a", "u"), 0.2, samples=100)
    assert (head.start, head.stop, tail.start, tail.stop) == (0, 800, 800, 1000)
    head, tail = head_and_tail(record_info("r", "a", "u"), 0.01, samples=100)
    assert tail.stop - tail.start == 100


@given(
    arrays(np.float32, (3, 2, 64), elements=st.floats(-1, 1, width=32)),
    st.floats(0.01, 1000),
    st.floats(-10, 10),
)
@settings(max_examples=50, deadline=None)
def test_gain_and_offset_of_a_sensor_leave_no_trace(noise, gain, offset):
    signal = noise + np.sin(np.arange(64, dtype=np.float32))
    changed = (signal * gain + offset * gain).astype(np.float32)
    assert np.allclose(standardised(signal), standardised(changed), atol=1e-3)


def test_standardised_windows_have_mean_0_and_deviation_1_per_channel():
    random = np.random.default_rng(1)
    windows = standardised((random.standard_normal((4, 2, 500)) * [[[5], [0.1]]] + 3).astype(np.float32))
    assert np.allclose(windows.mean(axis=-1), 0, atol=1e-5)
    assert np.allclose(windows.std(axis=-1), 1, atol=1e-5)


def test_a_silent_window_becomes_zeros():
    assert not standardised(np.full((1, 1, 64), 7, dtype=np.float32)).any()


def test_weights_give_every_fault_the_same_say():
    pieces = [whole(record_info("r", "b", "u")), Piece(record_info("s", "a", "v"), 0, 250)]
    windows = cut(pieces, ramp_CL, ["a", "b"], samples=250)
    weights = windows.balanced_weight_N()
    assert weights.mean() == pytest.approx(1)
    assert weights[windows.label_N == 0].sum() == pytest.approx(weights[windows.label_N == 1].sum())


def test_a_record_shorter_than_a_window_is_refused_not_skipped():
    with pytest.raises(UserError, match="less than one window"):
        cut([whole(record_info("r", "a", "u"))], ramp_CL, ["a"], samples=1001)


def test_windows_too_short_for_a_vibration_are_refused():
    with pytest.raises(UserError, match="only 20 samples"):
        window_samples(0.01, 2000)


def test_mixed_sampling_rates_are_refused():
    fast = record_info("r", "a", "u")
    slow = type(fast)(**{**fast.__dict__, "sample_rate_hz": 1000.0})
    with pytest.raises(UserError, match="several sampling rates"):
        one_sample_rate_hz([fast, slow])

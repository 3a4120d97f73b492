"""How often a run tells: often while it is young, seldom later, and never so often that writing is all it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runs.keeper import pause_between


@pytest.mark.parametrize(
    ("age_s", "writing_s", "pause_s"),
    [(0.0, 0.001, 0.1), (10.0, 0.001, 0.1), (50.0, 0.001, 0.5), (3600.0, 0.001, 1.0), (0.0, 0.05, 1.0)],
)
def test_a_young_run_tells_often_and_an_old_one_seldom(age_s: float, writing_s: float, pause_s: float) -> None:
    assert pause_between(age_s, writing_s, 1.0) == pytest.approx(pause_s)


@given(age_s=st.floats(0, 1e6), writing_s=st.floats(0, 100), most_s=st.floats(0.01, 60))
def test_writing_takes_a_twentieth_of_the_time_at_most(age_s: float, writing_s: float, most_s: float) -> None:
    pause_s = pause_between(age_s, writing_s, most_s)
    assert pause_s >= writing_s * 20 * (1 - 1e-9)
    assert pause_s >= min(0.1, most_s)

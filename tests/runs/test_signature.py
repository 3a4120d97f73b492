"""Failures of one family have one signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.causes import Cause
from shared.errors import UserError
from shared.runs.errors import error_info, named_cause
from shared.runs.signature import normalised, signature


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The file 'a_001.mat' holds 3 signals", "The file 'b.mat' holds 12 signals"),
        ("no such file: /data/x/1.h5 (errno 2)", "no such file: /tmp/other (errno 28)"),
        ("run 01890a5d-ac96-774b-bcce-b302099a8057 is gone", "run 0f0e0d0c-0000-7000-8000-000000000000 is gone"),
        ("at 0x7f00deadbeef", "at 0x55aa"),
        ("digest deadbeef01 is wrong", "digest 0123456789abcdef is wrong"),
        ("loss is -1.5e+03\nafter  7 s", "loss is 2 after 0.25 s"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_what_was_said_stays() -> None:
    assert normalised("The clock doesn't tick and the bell isn't rung") == (
        "The clock doesn't tick and the bell isn't rung"
    )
    assert normalised("The faced facade") == "The faced facade"


@given(st.text(max_size=2000))
def test_any_text_has_a_form_that_stays_when_it_is_formed_again(message: str) -> None:
    once = normalised(message)
    assert len(signature("k", named_cause("T", message, "r"))) == 16
    assert normalised(once) == normalised(once)


def test_kind_cause_type_and_place_tell_families_apart() -> None:
    base = named_cause("T", "m 1", "r", Cause.BUG, "a:b")
    others = [
        signature("other", base),
        signature("k", named_cause("T", "m 1", "r", Cause.BAD_INPUT, "a:b")),
        signature("k", named_cause("U", "m 1", "r", Cause.BUG, "a:b")),
        signature("k", named_cause("T", "m 1", "r", Cause.BUG, "a:c")),
        signature("k", named_cause("T", "n 1", "r", Cause.BUG, "a:b")),
    ]
    assert len({signature("k", base), *others}) == 6
    assert signature("k", base) == signature("k", named_cause("T", "m 2", "other remedy", Cause.BUG, "a:b"))


def test_the_place_is_the_innermost_function_of_our_own() -> None:
    def ours() -> None:
        int("x")

    try:
        ours()
    except ValueError as error:
        assert error_info(error).where == "tests.runs.test_signature:ours"
    assert error_info(UserError("never raised")).where is None

"""Secrets at rest: readable with a key and in their own row only, also while keys are replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import FaultlineError
from shared.notices.seal import Seal, SealBroken, SealKeyMissing, redacted
from shared.settings import Settings

OLD, NEW = SecretStr("o" * 32), SecretStr("n" * 32)
VALUE = {"url": "slack://T0/B0/secret", "headers": {"Authorization": "Bearer ü"}, "port": 1}
ROW = "0197a3b0-0000-7000-8000-000000000001"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON), st.text())
def test_what_is_sealed_can_be_opened_in_its_row(value: dict, row: str) -> None:
    seal = Seal([NEW])
    assert seal.open(seal.seal(value, bound_to=row), bound_to=row) == value


def test_a_sealed_secret_shows_nothing_and_is_never_the_same_twice() -> None:
    seal = Seal([NEW])
    sealed = seal.seal(VALUE, bound_to=ROW)
    assert b"slack" not in sealed
    assert sealed != seal.seal(VALUE, bound_to=ROW)


def test_a_sealed_secret_cannot_be_moved_to_another_row() -> None:
    seal = Seal([NEW])
    with pytest.raises(SealBroken) as refused:
        seal.open(seal.seal(VALUE, bound_to=ROW), bound_to=ROW.replace("1", "2"))
    assert refused.value.remedy


@given(st.data())
def test_a_single_bit_that_was_changed_is_found(data: st.DataObject) -> None:
    seal = Seal([NEW, OLD])
    sealed = bytearray(seal.seal(VALUE, bound_to=ROW))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((SealBroken, SealKeyMissing)):
        seal.open(bytes(sealed), bound_to=ROW)


@given(st.binary(max_size=80))
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises((SealBroken, SealKeyMissing)):
        Seal([NEW]).open(sealed, bound_to=ROW)


@given(st.integers(0, 120))
def test_a_secret_that_was_cut_off_is_refused(length: int) -> None:
    sealed = Seal([NEW]).seal({}, bound_to=ROW)
    with pytest.raises(FaultlineError):
        Seal([NEW]).open(sealed[: min(length, len(sealed) - 1)], bound_to=ROW)


def test_a_key_is_replaced_in_three_steps_without_losing_a_secret() -> None:
    before, between, after = Seal([OLD]), Seal([NEW, OLD]), Seal([NEW])
    sealed = before.seal(VALUE, bound_to=ROW)
    assert not before.needs_reseal(sealed)
    assert between.needs_reseal(sealed)
    again = between.seal(between.open(sealed, bound_to=ROW), bound_to=ROW)
    assert not between.needs_reseal(again)
    assert after.open(again, bound_to=ROW) == VALUE


def test_a_key_that_was_taken_out_too_early_is_named_without_being_told() -> None:
    sealed = Seal([OLD]).seal(VALUE, bound_to=ROW)
    with pytest.raises(SealKeyMissing) as refused:
        Seal([NEW]).open(sealed, bound_to=ROW)
    assert sealed[1:9].hex() in refused.value.message
    assert OLD.get_secret_value() not in refused.value.message
    assert "back" in refused.value.remedy


def test_without_a_key_sealing_says_how_to_make_one() -> None:
    with pytest.raises(SealKeyMissing) as refused:
        Seal([]).seal(VALUE, bound_to=ROW)
    assert "secrets.token_urlsafe(48)" in refused.value.remedy
    assert "FAULTLINE_SEAL_KEYS" in refused.value.remedy


def test_without_a_key_nothing_is_opened_and_nothing_needs_a_new_seal() -> None:
    sealed = Seal([OLD]).seal(VALUE, bound_to=ROW)
    assert not Seal([]).needs_reseal(sealed)
    with pytest.raises(SealKeyMissing):
        Seal([]).open(sealed, bound_to=ROW)


def test_a_short_key_is_refused_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTLINE_SEAL_KEYS", '["short"]')
    with pytest.raises(ValueError, match="at least 32"):
        Settings(database_url="postgresql://db/x", broker_url="memory://", artifact_store_url="file:///tmp/x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("slack://T0000/B0000/XXXX", "slack://***"),
        ("tgram://123:token/chat", "tgram://***"),
        ("mailto://user:password@example.org", "mailto://***"),
        ("https://hooks.example.org/services/T0/B0?token=x#y", "https://hooks.example.org/***"),
        ("HTTPS://Hooks.Example.ORG/x", "https://hooks.example.org/***"),
        ("https://user:password@hooks.example.org:8443/x", "https://hooks.example.org:8443/***"),
        ("https://user:pass/word@hooks.example.org/x", "https://***"),
        ("https://token?x@hooks.example.org", "https://***"),
        ("http://[::1]:8080/x", "http://[::1]:8080/***"),
        ("https://hooks.example.org", "https://hooks.example.org/***"),
        ("https://to ken/x", "https://***"),
        ("https:///x", "https://***"),
        ("https://hooks.example.org:token/x", "https://***"),
        ("https://[::1/x", "https://***"),
        ("my:token", "***"),
        ("the token", "***"),
        ("a secret://x", "***"),
        ("", "***"),
    ],
)
def test_a_secret_address_is_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(st.text(st.characters(exclude_characters="/?#\\@"), min_size=1))
def test_no_path_of_an_address_is_ever_shown(secret: str) -> None:
    assert redacted(f"https://hooks.example.org/{secret}") == "https://hooks.example.org/***"
    assert redacted(f"slack://{secret}") == "slack://***"

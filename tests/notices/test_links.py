"""Links that act: signed for one act of one person, and not for ever."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.notices.links import Link, make_link, read_link
from shared.signing import Signer

OLD, NEW = SecretStr("o" * 32), SecretStr("n" * 32)
SIGNER = Signer([NEW])
LINK = Link("mute", UUID(int=1), UUID(int=2), datetime(2126, 1, 1, tzinfo=UTC), UUID(int=3))
TOKEN = make_link(SIGNER, LINK)


def link() -> Link:
    return Link("acknowledge", uuid4(), uuid4(), datetime.now(UTC) + timedelta(days=1))


def test_what_was_signed_for_one_purpose_is_not_believed_for_another() -> None:
    signer = Signer([NEW, OLD])
    token = signer.sign("ticket", {"a": 1}, time.time() + 60)
    read = signer.read("ticket", token)
    assert read is not None
    assert read["a"] == 1
    assert signer.read("download", token) is None
    assert Signer([OLD]).read("ticket", token) is None
    assert signer.read("ticket", signer.sign("ticket", {}, time.time() - 1)) is None


@given(st.text(min_size=1, max_size=40), st.uuids(), st.uuids(), st.uuids())
def test_a_link_comes_back_as_it_was_made(action: str, subject: UUID, principal: UUID, nonce: UUID) -> None:
    made = Link(action, subject, principal, datetime(2126, 1, 1, 0, 0, 0, 123456, tzinfo=UTC), nonce)
    assert read_link(SIGNER, make_link(SIGNER, made)) == made


def test_two_links_for_the_same_act_are_two() -> None:
    one = link()
    other = Link(one.action, one.subject_id, one.principal_id, one.expires_at)
    assert one.nonce != other.nonce


def test_a_link_fits_into_an_address() -> None:
    token = make_link(SIGNER, link())
    assert len(token) < 300
    assert all(sign.isalnum() or sign in "-_." for sign in token)


def test_a_link_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    token, now_s = make_link(SIGNER, link()), time.time()
    day_s = timedelta(days=1).total_seconds()
    monkeypatch.setattr("shared.signing.time.time", lambda: now_s + day_s - 60)
    assert read_link(SIGNER, token) is not None
    monkeypatch.setattr("shared.signing.time.time", lambda: now_s + day_s + 60)
    assert read_link(SIGNER, token) is None


def test_a_link_is_believed_while_its_key_is_in_the_list() -> None:
    made = link()
    token = make_link(Signer([OLD]), made)
    assert read_link(Signer([NEW, OLD]), token) == made
    assert read_link(Signer([NEW]), token) is None


def test_what_was_signed_for_something_else_is_no_link() -> None:
    ticket = SIGNER.sign("ticket", {"path": "/v1/events"}, time.time() + 60)
    assert read_link(SIGNER, ticket) is None


@given(place=st.integers(0, len(TOKEN) - 2), sign=st.sampled_from("aB3-_.é\0"))  # the last has bits that nobody reads
def test_a_token_with_a_sign_changed_is_no_link(place: int, sign: str) -> None:
    assume(sign != TOKEN[place])
    assert read_link(SIGNER, TOKEN[:place] + sign + TOKEN[place + 1 :]) is None


@given(st.text())
def test_any_text_is_no_link(token: str) -> None:
    assert read_link(SIGNER, token) is None

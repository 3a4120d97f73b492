"""`services.notifier.answer`: what is worth another attempt."""

import pytest

from services.notifier.answer import Answer


@pytest.mark.parametrize("status", [None, 301, 408, 409, 425, 429, 500, 502, 503])
def test_what_may_pass_is_worth_another_attempt(status: int | None) -> None:
    assert Answer(False, status, 1.0).worth_retrying


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_the_receiver_will_say_again_is_not(status: int) -> None:
    assert not Answer(False, status, 1.0).worth_retrying


@pytest.mark.parametrize(
    "answer", [Answer(True, 200, 1.0), Answer(False, 410, 1.0, gone=True), Answer(False, None, 1.0, refused=True)]
)
def test_what_is_done_gone_or_refused_is_not(answer: Answer) -> None:
    assert not answer.worth_retrying

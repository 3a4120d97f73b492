"""Passes stand alone, and one of many reconcilers leads."""

import signal
from functools import partial

import pytest

from services.api.loops import Pass, Passes
from shared.db.leader import Leader
from shared.errors import Retryable
from tests.support.platform import Platform, until


def leader(platform: Platform, timeout_s: float = 30) -> Leader:
    return Leader(platform.settings.direct_url, 7, timeout_s)


@pytest.mark.parametrize("trouble", [ValueError("a defect"), Retryable("the broker is away")])
def test_a_pass_that_fails_does_not_stop_the_others_and_grows_old(platform: Platform, trouble: Exception) -> None:
    done: list[str] = []

    def fail() -> None:
        raise trouble

    todo = Passes([Pass("fails", fail, 0), Pass("works", lambda: done.append("works"), 0)], leader(platform))
    todo.once()
    todo.once()
    assert done == ["works", "works"]
    assert todo.age_s("fails") > todo.age_s("works")


def test_only_the_leader_does_what_must_happen_once_until_it_resigns(platform: Platform) -> None:
    done: list[str] = []
    leaders = [leader(platform), leader(platform)]
    both = [
        Passes([Pass("once", partial(done.append, name), 0, leader_only=True)], one)
        for name, one in zip("ab", leaders, strict=True)
    ]
    for todo in both * 2:
        todo.once()
    assert done == ["a", "a"]
    leaders[0].resign()
    until(leaders[1].held, 30, "the lock of a leader that resigned is not taken")
    both[1].once()
    assert done == ["a", "a", "b"]
    leaders[1].resign()


def test_a_leader_that_stands_still_is_replaced(platform: Platform) -> None:
    first, second = leader(platform, timeout_s=1), leader(platform)
    assert first.held()
    assert not second.held()
    until(second.held, 30, "the lock of a leader that does not ask is not taken")
    assert not first.held()
    second.resign()


def test_when_the_leading_reconciler_is_killed_the_other_takes_over(platform: Platform) -> None:
    def leads(name: str) -> bool:
        return "this process leads" in platform.log(name)

    platform.start("first", "services.api.reconciler")
    until(lambda: leads("first"), 60, "nobody leads")
    platform.start("second", "services.api.reconciler")
    until(lambda: "started" in platform.log("second"), 60, "the second does not start")
    platform.kill("first", signal.SIGKILL)
    until(lambda: leads("second"), 30, "nobody takes over")

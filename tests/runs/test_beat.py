"""One thread looks at all members, one at a time, and never at one that has left."""

import threading

import pytest

from shared.runs.beat import Beat
from tests.support.platform import until


class Counting:
    def __init__(self) -> None:
        self.looks = 0
        self.threads: set[int] = set()

    def beat(self) -> None:
        self.looks += 1
        self.threads.add(threading.get_ident())


class Hanging(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def beat(self) -> None:
        super().beat()
        self.go_on.wait(30)


def test_all_members_are_looked_at_by_one_thread() -> None:
    beat, members = Beat("test", 0.005), [Counting(), Counting()]
    places = [beat.join(member) for member in members]
    until(lambda: all(member.looks > 2 for member in members))
    for place in places:
        beat.leave(place)
    assert members[0].threads == members[1].threads
    assert len(members[0].threads) == 1


def test_a_member_that_left_is_never_looked_at_again() -> None:
    beat, member, other = Beat("test", 0.005), Counting(), Counting()
    place, stays = beat.join(member), beat.join(other)
    until(lambda: member.looks)
    beat.leave(place)
    seen, others = member.looks, other.looks
    until(lambda: other.looks > others + 3)
    beat.leave(stays)
    assert member.looks == seen


def test_leaving_waits_for_a_look_under_way_and_leaves_one_that_hangs_behind() -> None:
    beat, hangs, later = Beat("test", 0.005), Hanging(), Counting()
    place = beat.join(hangs)
    until(lambda: hangs.looks)
    beat.leave(place, 0.05)
    stays = beat.join(later)
    until(lambda: later.looks)
    hangs.go_on.set()
    beat.leave(stays)
    assert later.threads.isdisjoint(hangs.threads)


def test_a_member_may_come_after_a_long_silence() -> None:
    beat, first, second = Beat("test", 0.0001), Counting(), Counting()
    place = beat.join(first)
    until(lambda: first.looks)
    beat.leave(place)
    until(lambda: beat._asleep)
    place = beat.join(second)
    until(lambda: second.looks)
    beat.leave(place)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_member_that_fails_is_left_out_and_the_others_go_on() -> None:
    class Failing(Counting):
        def beat(self) -> None:
            super().beat()
            raise RuntimeError("its own fault")

    beat, failing, other = Beat("test", 0.005), Failing(), Counting()
    beat.join(failing)
    place = beat.join(other)
    until(lambda: failing.looks)
    seen = other.looks
    until(lambda: other.looks > seen + 3)
    beat.leave(place)
    assert failing.looks == 1

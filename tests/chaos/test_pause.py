"""Pause and resume with real processes: the slot is free meanwhile, nothing is done twice, whatever dies."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from shared.db.session import transaction
from shared.runs.cancel import request_cancel
from shared.runs.pause import request_pause, resume
from tests.chaos.test_promises import STEPS, assert_ended_once, steps_done, trainer_of
from tests.conftest import MakePlatform
from tests.support.platform import Platform, until


def ask(platform: Platform, what: Callable[[Session, UUID], None], run_id: UUID) -> None:
    with transaction(platform.engine) as session:
        what(session, run_id)


def running(make_platform: MakePlatform, kind: str = "test.supervised", **spec: Any) -> tuple[Platform, UUID]:
    """A platform with one slot, and a run that has done its first steps in it."""
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit(kind, **{"steps": STEPS, "step_s": 0.2, **spec})
    platform.wait_for_line("step 2")
    return platform, run


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_paused_run_frees_its_slot_and_goes_on_where_it_was(make_platform: MakePlatform, kind: str) -> None:
    platform, run = running(make_platform, kind)
    ask(platform, request_pause, run)
    until(lambda: platform.run(run)["state"] == "paused", what="the run is not paused")
    other = platform.submit(kind, journal="other", steps=1)
    assert platform.finished(other)["state"] == "succeeded", "the slot is free"
    assert platform.run(run)["state"] == "paused"
    ask(platform, resume, run)
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 2, 0)
    assert steps_done(platform) == list(range(STEPS)), "nothing is done twice"
    assert_ended_once(platform, run)


def test_a_body_that_does_not_listen_is_killed_and_resumes_from_its_last_checkpoint(
    make_platform: MakePlatform,
) -> None:
    platform, run = running(make_platform, steps=40, heeds_stop=False)
    ask(platform, request_pause, run)
    until(lambda: platform.run(run)["state"] == "paused", what="the run is not paused")
    ask(platform, resume, run)
    row = platform.finished(run)
    assert (row["state"], row["attempt"], row["crashes"]) == ("succeeded", 2, 0)
    assert row["envelope"]["result"]["began_at"] > 2
    assert_ended_once(platform, run, steps=40)


@pytest.mark.parametrize("victim", ["worker", "trainer"])
def test_a_death_during_the_pause_sets_the_run_aside_all_the_same(make_platform: MakePlatform, victim: str) -> None:
    platform, run = running(make_platform, heeds_stop=False, steps=30)
    ask(platform, request_pause, run)
    if victim == "worker":
        platform.kill("w1")
    else:
        trainer_of(platform).kill()
    until(lambda: platform.run(run)["state"] == "paused", what="the run is not paused")
    if victim == "worker":
        platform.start_worker("w2")
    ask(platform, resume, run)
    row = platform.finished(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    assert_ended_once(platform, run, steps=30)


def test_a_cancel_outweighs_a_pause_that_is_under_way(make_platform: MakePlatform) -> None:
    platform, run = running(make_platform, heeds_stop=False, steps=500)
    ask(platform, request_pause, run)
    ask(platform, request_cancel, run)
    assert platform.finished(run)["state"] == "cancelled"
    assert "paused" not in platform.states(run)

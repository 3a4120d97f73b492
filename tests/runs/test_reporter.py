"""What a body tells, collected."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.artifacts import Stored
from shared.contracts.views import Progress
from shared.queue import wire
from shared.queue.outcome import Away, Failed, Outcome, Stopped, Succeeded
from shared.runs.body import Put
from shared.runs.errors import named_cause
from shared.runs.reporter import News, RunReporter


@given(st.lists(st.floats(0, 1), min_size=1))
def test_progress_never_falls_back_and_only_the_newest_is_kept(fractions: list[float]) -> None:
    reporter = RunReporter(attempt=1)
    for fraction in fractions:
        reporter.progress(fraction)
    news = reporter.take()
    assert news.progress is not None
    assert news.progress.fraction == max(fractions)
    assert reporter.take().progress is None


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.nan, math.inf])
def test_a_fraction_outside_the_scale_is_our_own_bug_and_raises(fraction: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        RunReporter(1).progress(fraction)


def test_every_point_is_kept_and_what_is_not_finite_is_said_so() -> None:
    reporter = RunReporter(attempt=2)
    for step in range(1000):
        reporter.metrics(step, loss=step / 2, other=math.nan)
    points = reporter.take().points
    assert len(points) == 2000
    assert {point.value for point in points if point.name == "other"} == {None}


def test_stages_are_timed_and_returning_to_one_adds_up() -> None:
    reporter = RunReporter(1)
    for stage in ("load", "train", "load"):
        reporter.progress(0.1, stage=stage)
    assert list(reporter.stage_seconds()) == ["load", "train"]
    assert all(seconds >= 0 for seconds in reporter.stage_seconds().values())


def test_the_first_reason_to_stop_stays_but_a_lost_claim_outweighs_it() -> None:
    reporter = RunReporter(1)
    assert not reporter.should_stop()
    reporter.request_stop("preempt")
    reporter.request_stop("cancel")
    reasons = [reporter.stop_reason]
    reporter.request_stop("lost")
    assert [*reasons, reporter.stop_reason] == ["preempt", "lost"]


def test_a_cancel_outweighs_a_pause() -> None:
    reporter = RunReporter(1)
    reporter.request_stop("pause")
    reporter.request_stop("cancel")
    reporter.request_stop("pause")
    assert reporter.stop_reason == "cancel"


def test_news_that_could_not_be_written_stay_in_order() -> None:
    reporter = RunReporter(1)
    reporter.metrics(1, x=1.0)
    reporter.progress(0.1)
    first = reporter.take()
    reporter.metrics(2, x=2.0)
    both = first.followed_by(reporter.take())
    assert [point.step for point in both.points] == [1, 2]
    assert both.progress is not None


def test_news_survive_the_pipe() -> None:
    reporter = RunReporter(3)
    reporter.progress(0.5, stage="s", current=1, total=2)
    reporter.metrics(7, loss=0.25, bad=math.inf)
    reporter.record(Put("a", "artifact", Stored("k", 1, "d"), "text/plain", 4))
    news = reporter.take()
    line = wire.pack_news(news)
    assert line.count(b"\n") == 1
    assert wire.unpack_news(orjson.loads(line)) == news
    assert not News()
    assert News(progress=Progress())


@pytest.mark.parametrize(
    "outcome",
    [
        Succeeded({"a": 1}),
        Failed(named_cause("T", "m", "r")),
        Stopped("preempt"),
        Away("why", 2.0),
    ],
)
def test_outcomes_survive_the_pipe(outcome: Outcome) -> None:
    assert wire.unpack_outcome(orjson.loads(wire.pack_outcome(outcome))) == outcome

"""What is drawn: tables of scores, curves, the live picture of a run."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.cli.ui.curve import bounds, braille, curve
from services.cli.ui.picture import Picture
from services.cli.ui.result import scores_picture
from services.cli.ui.tables import result_picture, runs_table
from services.cli.ui.text import ago, console, duration, number, percent, safe, short_id, size
from services.cli.ui.watch import PlainLines, live_view, plain_line
from shared.contracts.states import RunState
from shared.contracts.views import EventView, MetricPoint
from tests.cli import results
from tests.cli.fake_api import NOW, FakeApi, story

RUN = UUID("01a20bb5-2f0e-7349-a33d-feddb01c57ea")

SCORES = """\
                   rf                    cnn1d                 records   bearings
─────────────────────────────────────────────────────────────────────────────────
records right       79.2 %  61.0–94.0    100.0 %  90.0–100.0        24         10
windows right       79.2 %  61.0–94.0    100.0 %  90.0–100.0
majority guess      25.0 %

  ball              33.3 %  3.3–100.0    100.0 %  70.0–100.0         6          3
  healthy          100.0 %  70.0–100.0   100.0 %  70.0–100.0         6          1
  inner_race       100.0 %  70.0–100.0   100.0 %  70.0–100.0         6          3
  outer_race        83.3 %  53.3–100.0   100.0 %  70.0–100.0         6          3

split       by size_mils, held out 007, 014, 021; 3 folds pooled
test side   some shared units  1 of 10 test bearings trained on too
interval    95 % bootstrap over units, 2000 resamples
leaks       1 of 10 test units were also trained on: healthy.
"""

PERFECT = [[6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0], [0, 0, 0, 6]]


def drawn(picture: object) -> str:
    """As a pipe would show it, without the spaces at the ends of lines."""
    out = console()
    with out.capture() as capture:
        out.print(picture)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def seen(upto: int, *, ok: bool = True) -> Picture:
    """A run after so many events."""
    picture = Picture(
        RUN, "model.train", "first", RunState.QUEUED, clock=lambda: (NOW + timedelta(seconds=30)).timestamp()
    )
    for event in story(RUN, ok=ok)[:upto]:
        picture.apply(event)
    return picture


def test_the_scores_of_two_models_on_one_split():
    both = {"rf": results.evaluation("rf"), "cnn1d": results.evaluation("cnn1d", PERFECT, (0.9, 1.0))}
    assert drawn(scores_picture(both, "bearings")) == SCORES


def test_a_split_without_leaks_says_so():
    clean = results.evaluation(shared=[]).model_copy(update={"leaks": []})
    text = drawn(scores_picture({"rf": clean}))
    assert "unseen units  none of 10 test units trained on too" in text
    assert "leaks       nothing found" in text


def test_a_fault_that_is_not_on_the_test_side_has_no_recall():
    scores = results.evaluation()
    record = scores.record.model_copy(update={"per_fault": scores.record.per_fault[1:]})
    lines = drawn(scores_picture({"rf": scores.model_copy(update={"record": record})})).splitlines()
    [line] = [line for line in lines if line.strip().startswith("ball")]
    assert line.split() == ["ball", "–", "0", "0"]


def test_a_result_that_this_release_does_not_know_is_shown_as_it_is():
    assert "anything    1" in drawn(result_picture("model.train", {"anything": 1}))
    assert "size        0.5" in drawn(result_picture("model.quantize", {"size": 0.5, "anything": 1}))


def test_the_curve_of_a_falling_loss_goes_down_from_left_to_right():
    lines = braille([(step, 7.0 - step) for step in range(8)], 0.0, 7.0, width=4, height=2)
    assert lines == ["⠑⢄⠀⠀", "⠀⠀⠑⢄"]


def test_a_curve_fills_only_as_much_of_its_width_as_is_done():
    lines = braille([(1, 1.0), (2, 1.0)], 0.0, 1.0, width=8, height=1, span=8)
    assert lines == ["⠉⠉" + "\u2800" * 6]


def test_many_values_are_averaged_into_the_columns_there_are():
    lines = braille([(step, 1.0) for step in range(10_000)], 0.0, 1.0, width=3, height=1)
    assert lines == ["⠉⠉⠉"]


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-1.0, -1.0], [5.0], [1e300, 1.0]])
def test_any_values_can_be_drawn(values: list[float]):
    low, high = bounds("loss", values)
    assert low < high
    assert "loss" in drawn(curve("loss", list(enumerate(values)), 30))


def test_an_accuracy_is_drawn_from_zero_to_one_so_that_it_does_not_jump():
    assert bounds("validation_accuracy", [0.8, 0.9]) == (0.0, 1.0)


def test_the_live_picture_shows_where_a_run_stands():
    text = drawn(live_view(seen(6), 90))
    for words in ("first", "model.train", "b01c57ea", "running", "27 s", "40 %", "training 1/3", "2.0 s left"):
        assert words in text
    assert "train loss  0.5" in text
    assert "validation accuracy  0.8" in text


def test_a_plain_line_shows_where_a_run_stands():
    line = "b01c57ea  running  40 %  training 1/3  train_loss 0.5  validation_accuracy 0.8"
    assert plain_line(seen(6)) == line


def test_plain_lines_are_throttled_but_never_lose_a_change_of_state():
    now = [0.0]
    picture = Picture(RUN, "model.train", "first", RunState.QUEUED)
    lines = PlainLines(picture, clock=lambda: now[0])
    said = []
    for step in range(300):
        now[0] += 0.1
        event = EventView(run_id=RUN, seq=step + 1, attempt=1, type="progress", at=NOW, data={"fraction": step / 300})
        picture.apply(event)
        said.append(lines.next(event.type))
    picture.apply(story(RUN)[-1])
    said.append(lines.next("state"))
    shown = [line for line in said if line]
    assert len(shown) <= 8
    assert shown[-1] == "b01c57ea  succeeded"


def test_a_later_attempt_draws_over_the_steps_that_it_repeats():
    picture = seen(6)
    again = EventView(
        run_id=RUN, seq=9, attempt=2, type="metrics", at=NOW, data={"up_to_step": 2, "latest": {"train_loss": 0.4}}
    )
    picture.apply(again)
    assert picture.curves["train_loss"] == [(1, 1.0), (2, 0.4)]
    assert picture.progress.fraction == 0.0


def test_a_count_stays_while_its_stage_goes_on_and_goes_with_it():
    picture = seen(4)
    for stage, count in (("training", (1, 3)), ("saving", (None, None))):
        data = {"fraction": 0.5, "stage": stage, "current": None, "total": None}
        picture.apply(EventView(run_id=RUN, seq=9, attempt=1, type="progress", at=NOW, data=data))
        assert (picture.progress.current, picture.progress.total) == count


def test_metrics_that_are_no_numbers_are_left_out():
    picture = seen(0)
    data = {"up_to_step": 1, "latest": {"a": None, "b": "x", "c": float("inf"), "d": 1}}
    picture.apply(EventView(run_id=RUN, seq=1, attempt=1, type="metrics", at=NOW, data=data))
    picture.history([*map(point, (1, 2)), MetricPoint(name="loss", step=3, value=None, attempt=1)])
    assert picture.curves == {"loss": [(1, 1.0), (2, 2.0)]}


def point(step: int) -> MetricPoint:
    return MetricPoint(name="loss", step=step, value=float(step), attempt=1)


def test_an_event_of_a_later_release_changes_nothing():
    picture = seen(4)
    before = picture.state, picture.progress
    for data in ({"state": "levitating"}, {}):
        picture.apply(EventView(run_id=RUN, seq=9, attempt=1, type="aura", at=NOW, data=data))
    assert (picture.state, picture.progress) == before


def test_the_short_id_tells_runs_apart_that_were_asked_for_in_one_second():
    assert short_id("01a20bb5-2f0e-7349-a33d-feddb01c57ea") == "b01c57ea"


def test_words_for_figures():
    assert [duration(value) for value in (0.04, 9.96, 59, 187, 7387)] == ["0.0 s", "10 s", "59 s", "3:07", "2:03:07"]
    assert [size(value) for value in (812, 3.4e6, 5e12)] == ["812 B", "3.4 MB", "5000.0 GB"]
    assert [number(value) for value in (0, 0.04434, 1234567, 1e-9)] == ["0", "0.04434", "1.23e+06", "1.00e-09"]
    assert percent(0.7222) == "72.2 %"
    assert ago(None) == "–"


@pytest.mark.parametrize(
    "sign", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\ud800", "\r", "\n", "\u200b"]
)
def test_no_control_sign_survives(sign: str):
    assert sign not in safe(f"a{sign}b")
    assert safe(f"a{sign}b").startswith("a\\")


def test_line_ends_of_a_message_are_kept_where_it_has_room():
    assert safe("a\nb\r", lines=True) == "a\nb\\r"


def test_a_narrow_terminal_shows_what_a_run_is_and_how_it_stands(monkeypatch: pytest.MonkeyPatch):
    api = FakeApi()
    api.submit("dataset.generate", {"name": "bearings-of-the-mill"})
    monkeypatch.setenv("COLUMNS", "40")
    runs = list(api.runs.values())
    narrow = drawn(runs_table(runs))
    assert max(map(len, narrow.splitlines())) <= 40
    assert narrow.split()[:3] == ["run", "name", "state"]
    assert short_id(runs[0].id) in narrow
    monkeypatch.setenv("COLUMNS", "110")
    assert "asked" in drawn(runs_table(runs))


def test_a_training_says_what_its_model_costs_and_how_much_of_it_was_synthetic():
    plain = results.training({"recipe": {"type": "rf"}})
    assert "cost" not in drawn(result_picture("model.train", plain))
    cost = {"parameters": 12345, "file_bytes": 204_800, "flops": 11_864_576, "latency_ms": 1.234}
    shown = drawn(result_picture("model.train", {**plain, "cost": cost, "synthetic_windows": 300}))
    assert "205 kB, 11.9 million operations and 1.2 ms a window" in shown
    assert "900 to train (300 synthetic), 200 to validate" in shown
    shown = drawn(result_picture("model.train", {**plain, "cost": {**cost, "flops": None}}))
    assert "205 kB, 1.2 ms a window" in shown

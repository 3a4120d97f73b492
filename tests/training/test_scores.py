"""Scores against values worked out by hand, and intervals that do not promise more than the units allow."""

import numpy as np
import pytest

from services.training.scores import (
    FEW_UNITS,
    FEW_UNITS_OF_A_FAULT,
    Predictions,
    accuracy,
    confusion_KK,
    interval_method,
    macro_f1,
    scored,
    wilson,
)

#: Truth 0,0,0,0,1,1,1,2; five of eight right.
TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 1, 2, 0])
FAULTS = ["a", "b", "c"]


def predictions(truth, predicted, units) -> Predictions:
    return Predictions(np.asarray(truth), np.asarray(predicted), np.asarray(units))


def test_confusion_accuracy_and_macro_f1_match_hand_computed_values():
    counts = confusion_KK(TRUTH, PREDICTED, 3)
    assert counts.tolist() == [[3, 1, 0], [0, 2, 1], [1, 0, 0]]
    assert accuracy(counts) == 5 / 8
    # F1: a = 2*3/(4+4), b = 2*2/(3+3), c = 0
    assert macro_f1(counts) == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)


def test_recall_precision_and_f1_of_each_fault_match_hand_computed_values():
    scores = scored("record", predictions(TRUTH, PREDICTED, list("stuvwxyz")), FAULTS, 0.95, 200, 1)
    assert [(f.fault, f.count, f.units) for f in scores.per_fault] == [("a", 4, 4), ("b", 3, 3), ("c", 1, 1)]
    assert [f.recall.value for f in scores.per_fault] == pytest.approx([3 / 4, 2 / 3, 0])
    assert [f.precision for f in scores.per_fault] == pytest.approx([3 / 4, 2 / 3, 0])
    assert [f.f1 for f in scores.per_fault] == pytest.approx([3 / 4, 2 / 3, 0])
    assert scores.confusion == [[3, 1, 0], [0, 2, 1], [1, 0, 0]]


def test_wilson_matches_published_values():
    # Wilson (1927) as tabulated in Newcombe (1998), Statistics in Medicine 17: 81/263 and 0/20.
    interval = wilson(81 / 263, 263, 0.95)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    assert round(wilson(0.0, 20, 0.95).high, 4) == 0.1611


def test_all_right_on_three_units_is_no_certainty():
    truth = np.repeat([0, 1], 300)
    units = np.repeat(["a", "b", "c", "d", "e", "f"], 100)
    scores = scored("window", predictions(truth, truth, units), ["x", "y"], 0.95, 200, 1)
    assert scores.accuracy.value == scores.accuracy.high == 1.0
    assert scores.accuracy.low == pytest.approx(wilson(1.0, 6, 0.95).low)
    assert scores.per_fault[0].recall.low == pytest.approx(wilson(1.0, 3, 0.95).low)


def test_one_unit_says_almost_nothing_about_others():
    truth = np.array([0] * 50 + [1] * 50)
    units = np.array(["a"] * 50 + ["b"] * 50)
    scores = scored("window", predictions(truth, truth, units), ["x", "y"], 0.95, 200, 1)
    assert scores.per_fault[0].recall.low < 0.25


def test_many_windows_of_few_units_do_not_narrow_the_interval():
    random = np.random.default_rng(3)
    right_per_unit = random.uniform(0.2, 1.0, 40)  # units differ more than windows
    units = np.repeat(np.arange(40), 100).astype(str)
    truth = np.repeat(np.arange(40) % 2, 100)
    right = random.random(4000) < np.repeat(right_per_unit, 100)
    scores = scored("window", predictions(truth, np.where(right, truth, 1 - truth), units), ["x", "y"], 0.95, 1000, 1)
    naive = wilson(scores.accuracy.value, 4000, 0.95)
    width = scores.accuracy.high - scores.accuracy.low
    assert width > 3 * (naive.high - naive.low)
    spread = 2 * 1.96 * right_per_unit.std() / np.sqrt(40)
    assert width == pytest.approx(spread, rel=0.3)


def test_the_bootstrap_interval_covers_the_true_accuracy_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    covered = 0
    for trial in range(150):
        rates = random.beta(4, 2, 30)  # mean 2/3
        units = np.repeat(np.arange(30), 10).astype(str)
        truth = np.repeat(np.arange(30) % 2, 10)
        right = random.random(300) < np.repeat(rates, 10)
        drawn = predictions(truth, np.where(right, truth, 1 - truth), units)
        interval = scored("window", drawn, ["x", "y"], 0.9, 200, trial).accuracy
        covered += interval.low <= 2 / 3 <= interval.high
    assert 0.82 <= covered / 150 <= 0.97


def test_many_faults_with_one_unit_each_are_no_certainty_either():
    """Drawn within each fault, a lone unit never varies: the bootstrap alone would give an interval of no width."""
    truth = np.repeat(np.arange(24), 10)
    predicted = np.where(np.arange(240) % 2, truth, (truth + 1) % 24)
    faults = [str(k) for k in range(24)]
    scores = scored("window", predictions(truth, predicted, truth.astype(str)), faults, 0.95, 200, 1)
    expected = wilson(0.5, 24, 0.95)
    assert scores.accuracy.low == pytest.approx(expected.low)
    assert scores.accuracy.high == pytest.approx(expected.high)


def test_the_same_seed_gives_the_same_interval():
    given = predictions(TRUTH, PREDICTED, list("stuvwxyz"))
    assert scored("record", given, FAULTS, 0.95, 300, 9) == scored("record", given, FAULTS, 0.95, 300, 9)


def test_a_fault_that_was_not_tested_is_refused():
    with pytest.raises(ValueError, match="no record of c"):
        scored("record", predictions([0, 1], [0, 1], ["u", "v"]), FAULTS, 0.95, 100, 1)


def test_the_method_is_told_in_one_sentence():
    sentence = interval_method(0.95, 2000)
    assert sentence.count(". ") == 0
    assert "physical units" in sentence
    assert str(FEW_UNITS) in sentence
    assert f"{FEW_UNITS_OF_A_FAULT} of a fault" in sentence

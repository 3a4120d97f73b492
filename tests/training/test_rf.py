"""The forest: grown in steps, reproducible, kept in a file that holds nothing but trees."""

from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from services.training import feature_table
from services.training.feature_table import FeatureTable
from services.training.models import Fit, Setup
from services.training.models.rf import RandomForest
from services.training.windows import WindowSet, cut, whole
from shared.contracts.specs import RandomForestRecipe
from shared.errors import UserError
from shared.runs.body import RunStopped
from tests.training.support import FAULTS, SAMPLE_RATE_HZ, Bench, RecordingReporter, record_info, signal_CL

SETUP = Setup(tuple(FAULTS), ("a", "b"), 400, SAMPLE_RATE_HZ, None, seed=7)
RECIPE = RandomForestRecipe(trees=25)


def windows_of(seed: int) -> WindowSet:
    pieces = [whole(record_info(f"{fault}-{seed}", fault, fault, samples=4000)) for fault in FAULTS]
    return cut(pieces, lambda record: signal_CL(record.fault, seed, 4000, 2), tuple(FAULTS), samples=400, overlap=0.5)


TRAIN, VALIDATION = windows_of(1), windows_of(2)


def grown(bench: Bench, reporter: RecordingReporter | None = None) -> tuple[RandomForest, Fit]:
    model = RandomForest(RECIPE, SETUP)
    fit = model.fit(TRAIN, VALIDATION, reporter or RecordingReporter(), bench.artifacts("rf"))
    return model, fit


def test_a_forest_grown_in_steps_equals_one_grown_at_once(bench):
    model, _ = grown(bench)
    values = model.table.values_NF(TRAIN, lambda share: None)
    weights = TRAIN.balanced_weight_N()
    at_once = RandomForestClassifier(n_estimators=25, min_samples_leaf=RECIPE.min_leaf, random_state=7)
    at_once.fit(values, TRAIN.label_N, sample_weight=weights)
    assert np.array_equal(at_once.predict_proba(values), model.probability_NK(TRAIN))
    assert len(model.forest.estimators_) == 25


def test_easy_faults_are_recognised_and_progress_is_told_per_step(bench):
    reporter = RecordingReporter()
    _, fit = grown(bench, reporter)
    assert fit.validation_accuracy > 0.8
    assert [step for step, _ in reporter.points] == [10, 20, 25]
    assert reporter.fractions == sorted(reporter.fractions)
    assert reporter.fractions[-1] == pytest.approx(1.0)
    assert {"features", "training"} == set(reporter.stages)


@pytest.mark.parametrize("stop_at", [1, 3, 8, 20])
def test_a_forest_stops_when_asked_to(bench, stop_at):
    with pytest.raises(RunStopped):
        grown(bench, RecordingReporter(stop_at=stop_at))


def test_it_is_asked_between_any_two_trees_and_within_the_features_of_long_records(bench, monkeypatch):
    reporter = RecordingReporter()
    grown(bench, reporter)
    asked = reporter.asked
    assert asked >= RECIPE.trees
    monkeypatch.setattr(feature_table, "BATCH_SAMPLES", 2 * 2 * 400)  # two windows of two channels
    reporter = RecordingReporter()
    grown(bench, reporter)
    assert reporter.asked >= asked + (len(TRAIN) + len(VALIDATION)) / 2 - 2 * len(FAULTS)


def test_features_do_not_depend_on_how_many_are_computed_at_a_time(monkeypatch):
    table = FeatureTable(("a", "b"), SAMPLE_RATE_HZ, None)
    values = table.values_NF(TRAIN, lambda share: None)
    monkeypatch.setattr(feature_table, "BATCH_SAMPLES", 1)
    assert np.array_equal(values, table.values_NF(TRAIN, lambda share: None))


def test_a_forest_survives_a_file(bench, tmp_path):
    model, _ = grown(bench)
    other = RandomForest(RECIPE, SETUP)
    other.load(model.save(tmp_path))
    assert np.array_equal(other.probability_NK(VALIDATION), model.probability_NK(VALIDATION))
    assert other.parameters() == model.parameters() > 25


def test_features_stand_side_by_side_per_channel_in_the_order_of_their_names():
    table = FeatureTable(("a", "b"), SAMPLE_RATE_HZ, None)
    values = table.values_NF(TRAIN, lambda share: None)
    assert values.shape == (len(TRAIN), len(table.names))
    assert table.names[0].startswith("a:") and table.names[-1].startswith("b:")
    single = FeatureTable(("a",), SAMPLE_RATE_HZ, None)
    assert len(single.names) * 2 == len(table.names)


def test_a_file_that_is_not_this_forest_is_refused(bench, tmp_path):
    model, _ = grown(bench)
    path = tmp_path / "other.skops"
    path.write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(UserError, match="does not hold a forest"):
        model.load(path)
    skops.io.dump(LogisticRegression(), path)
    with pytest.raises(UserError, match="does not hold a forest"):
        model.load(path)
    others: list[Any] = [
        RandomForestClassifier(2).fit([[0.0], [1.0], [2.0]], [0, 1, 2]),  # other features
        RandomForestClassifier(2),  # never fitted
        RandomForestRegressor(2).fit([[0.0], [1.0], [2.0]], [0, 1, 2]),
        {"estimators_": []},
    ]
    for other in others:
        skops.io.dump(other, path)
        with pytest.raises(UserError, match="does not hold a forest"):
            model.load(path)


def test_trees_that_are_no_trees_are_refused(bench, tmp_path):
    model, _ = grown(bench)
    path = tmp_path / "model.skops"
    model.forest.estimators_[3] = LogisticRegression()
    skops.io.dump(model.forest, path)
    with pytest.raises(UserError, match="does not hold a forest") as caught:
        RandomForest(RECIPE, SETUP).load(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "schema", ["[]", "{}", '{"__loader__": "TypeNode", "__module__": "os", "__class__": "system"}']
)
def test_a_made_up_schema_is_refused(tmp_path, schema):
    path = tmp_path / "model.skops"
    with ZipFile(path, "w") as file:
        file.writestr("schema.json", schema)
    with pytest.raises(UserError, match="does not hold a forest"):
        RandomForest(RECIPE, SETUP).load(path)


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("left_child", 0), ("feature", 10**6)])
def test_a_tree_that_would_lead_out_of_its_memory_is_refused(bench, tmp_path, field, value):
    model, _ = grown(bench)
    tree = model.forest.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    path = tmp_path / "evil.skops"
    skops.io.dump(model.forest, path)
    with pytest.raises(UserError, match="does not hold a forest"):
        RandomForest(RECIPE, SETUP).load(path)

"""Held-out scores: by record and by window, over folds, with what leaks said plainly."""

import io
import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from services.training.evaluation import evaluate_model
from services.training.training import train_model
from shared.contracts.results import EvaluationResult
from shared.contracts.specs import Cnn1dRecipe, EvaluationSpec, RandomForestRecipe, Recipe, SplitSpec, TrainingSpec
from shared.errors import UserError
from shared.runs.body import RunStopped
from tests.training.support import Bench, RecordingReporter, tiny_records

FOREST = RandomForestRecipe(trees=40)


def train_fold(bench: Bench, dataset_id: UUID, name: str, split: SplitSpec, recipe: Recipe = FOREST) -> UUID:
    spec = TrainingSpec(name=name, dataset_id=dataset_id, recipe=recipe, split=split, window_s=0.2)
    train_model(spec, RecordingReporter(), bench.artifacts(name))
    return bench.add_model(name)


def by_size(*sizes) -> SplitSpec:
    return SplitSpec(by="size", held_out=list(sizes))


def evaluate(bench: Bench, *model_ids: UUID, reporter: RecordingReporter | None = None) -> EvaluationResult:
    spec = EvaluationSpec(model_ids=list(model_ids), resamples=200)
    return evaluate_model(spec, reporter or RecordingReporter(), bench.artifacts("e"))


@pytest.fixture
def folds(bench):
    """Three models, each without one size."""
    dataset_id = bench.add_dataset(tiny_records())
    return [train_fold(bench, dataset_id, f"fold{size}", by_size(size)) for size in "012"]


def test_folds_are_pooled_over_all_records_by_record_and_by_window(bench, folds):
    result = evaluate(bench, *folds)
    assert (result.folds, result.models) == (3, ["fold0", "fold1", "fold2"])
    assert result.record.count == 18
    assert result.window.count == 180
    assert [fault.units for fault in result.record.per_fault] == [3, 3, 3]
    assert result.majority_accuracy == pytest.approx(1 / 3)
    assert result.split.badge == "unseen units"
    assert result.split.held_out == ["0", "1", "2"]
    assert result.leaks == []
    assert result.record.accuracy.value > 0.8
    assert result.record.accuracy.low < result.record.accuracy.value


def test_the_files_say_the_same_as_the_result(bench, folds):
    result = evaluate(bench, *folds)
    files = bench.files("e")
    assert set(files) == {"predictions.json", "windows.npz", "report.json"}
    records = json.loads(files["predictions.json"])
    right = sum(record["truth"] == record["predicted"] for record in records)
    assert right / len(records) == result.record.accuracy.value
    table = np.load(io.BytesIO(files["windows.npz"]), allow_pickle=False)
    assert len(table["probability"]) == result.window.count
    for place, record in enumerate(records):
        assert str(table["record_ids"][place]) == record["record"]
        mean = table["probability"][table["record"] == place].mean(axis=0)
        assert mean == pytest.approx(list(record["probabilities"].values()), abs=1e-5)
    assert EvaluationResult.model_validate(json.loads(files["report.json"])) == result


def test_the_test_side_of_one_model_is_scored_alone(bench, folds):
    result = evaluate(bench, folds[1])
    assert (result.folds, result.record.count, result.split.held_out) == (1, 6, ["1"])


def test_a_network_is_evaluated_like_a_forest(bench):
    dataset_id = bench.add_dataset(tiny_records())
    model = train_fold(bench, dataset_id, "n", by_size("2"), Cnn1dRecipe(epochs=1, batch_size=16, width=4))
    result = evaluate(bench, model)
    assert (result.model_type, result.record.count) == ("cnn1d", 6)


def test_units_on_both_sides_are_named(bench):
    dataset_id = bench.add_dataset(tiny_records())
    model = train_fold(bench, dataset_id, "m", SplitSpec(by="load", held_out=["1"]))
    result = evaluate(bench, model)
    assert result.split.badge == "same units"
    assert result.leaks[0].startswith("9 of 9 test units were also trained on: healthy-0, healthy-1")


def test_blocks_of_one_recording_on_both_sides_are_named(bench):
    records = [record for record in tiny_records() if record["fault"] != "healthy"]
    records += [
        {**record, "unit": "only", "labels": {}, "same_unit_block": True}
        for record in tiny_records()
        if record["fault"] == "healthy"
    ]
    dataset_id = bench.add_dataset(records)
    models = [train_fold(bench, dataset_id, f"f{size}", by_size(size)) for size in "012"]
    result = evaluate(bench, *models)
    assert result.split.badge == "some shared units"
    assert result.leaks == [
        "1 of 7 test units was also trained on: only.",
        "Blocks of one and the same recording are on both sides for: healthy.",
    ]
    assert result.record.per_fault[0].units == 1
    assert [fault.shared_units for fault in result.record.per_fault] == [1, 0, 0]
    assert [fault.shared_units for fault in result.window.per_fault] == [1, 0, 0]
    assert result.record.per_fault[0].recall.low < 0.25  # one unit


def test_a_copy_of_a_training_signal_under_another_name_is_found(bench):
    records = tiny_records()
    copied = {**records[1], "signal_CL": records[4]["signal_CL"]}  # a record of size 0 copies one of size 2
    dataset_id = bench.add_dataset([records[0], copied, *records[2:]])
    result = evaluate(bench, train_fold(bench, dataset_id, "m", by_size("0")))
    assert result.leaks == [f"Test records whose signal was also trained on, byte for byte: {copied['id']}."]


def test_folds_must_not_share_a_test_record(bench, folds):
    dataset_id = UUID(json.loads(bench.files("fold1")["model.json"])["dataset_id"])
    again = train_fold(bench, dataset_id, "again", by_size("1"))
    with pytest.raises(UserError, match="test side of several models: healthy-1-0"):
        evaluate(bench, folds[1], again)


def test_folds_must_be_of_one_recipe(bench, folds):
    dataset_id = json.loads(bench.files("fold0")["model.json"])["dataset_id"]
    network = train_fold(bench, dataset_id, "n", by_size("1"), Cnn1dRecipe(epochs=1, batch_size=16, width=4))
    with pytest.raises(UserError, match="different types of recipe"):
        evaluate(bench, folds[0], network)


def test_folds_must_be_of_one_dataset(bench, folds):
    other = bench.add_dataset(tiny_records(units=4), "other")
    with pytest.raises(UserError, match="different datasets"):
        evaluate(bench, folds[0], train_fold(bench, other, "m", by_size("1")))


def test_an_evaluation_stops_when_asked_to(bench, folds):
    with pytest.raises(RunStopped):
        evaluate(bench, *folds, reporter=RecordingReporter(stop_at=2))


def changed(bench: Bench, model_id: UUID, name: str, **fields: Any) -> UUID:
    """The same model, with some fields of one of its files as somebody else wrote them."""
    pinned = bench.inputs[str(model_id)]
    document = json.loads(bench.store.read(pinned["files"][name]))
    key = f"changed/{'-'.join(fields)}/{name}"
    bench.store.put(key, json.dumps({**document, **fields}).encode())
    pinned["files"] = {**pinned["files"], name: key}
    return model_id


CARDS: list[tuple[dict[str, Any], str]] = [
    ({"faults": ["healthy", "inner"]}, "other faults"),
    ({"channels": ["a", "b"]}, "other channels"),
    ({"sample_rate_hz": 1.0}, "other sampling rate"),
    ({"window_samples": 10**9}, "other window"),
    ({"window_samples": -1}, "other window"),
    ({"window_s": 1e-9}, "window"),
    ({"feature_names": ["x"]}, "other features"),
    ({"dataset_digest": "0"}, "not the one"),
]


@pytest.mark.parametrize(("fields", "message"), CARDS)
def test_a_card_that_does_not_fit_the_dataset_is_refused_with_a_remedy(bench, folds, fields, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(bench, changed(bench, folds[0], "model.json", **fields))
    assert caught.value.remedy


SPLITS: list[tuple[dict[str, Any], str]] = [
    ({"test": []}, "no record of healthy"),
    ({"test": ["healthy-0-0", "inner-0-0"]}, "no record of outer"),
    ({"test": ["nowhere"]}, "no record 'nowhere'"),
    ({"train": ["nowhere"]}, "no record 'nowhere'"),
    ({"train": ["healthy-0-0"]}, "on two sides"),
]


@pytest.mark.parametrize(("fields", "message"), SPLITS)
def test_a_split_that_does_not_fit_the_dataset_is_refused_with_a_remedy(bench, folds, fields, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(bench, changed(bench, folds[0], "split.json", **fields))
    assert caught.value.remedy


def test_weights_that_give_no_numbers_are_refused(bench, tmp_path):
    dataset_id = bench.add_dataset(tiny_records())
    model_id = train_fold(bench, dataset_id, "n", by_size("2"), Cnn1dRecipe(epochs=1, batch_size=16, width=4))
    weights = load(bench.files("n")["model.safetensors"])
    bench.store.put("nan/weights", save({**weights, "head.bias": weights["head.bias"] * torch.nan}))
    pinned = bench.inputs[str(model_id)]
    pinned["files"] = {**pinned["files"], "model.safetensors": "nan/weights"}
    with pytest.raises(UserError, match="give no numbers"):
        evaluate(bench, model_id)


def test_more_folds_than_blocks_of_the_only_unit_are_refused_with_the_way_out(bench):
    records = [record for record in tiny_records() if record["fault"] != "healthy"]
    records += [
        {**record, "unit": "only", "labels": {}, "same_unit_block": True}
        for record in [record for record in tiny_records() if record["fault"] == "healthy"][:2]
    ]
    dataset_id = bench.add_dataset(records)
    models = [train_fold(bench, dataset_id, f"f{size}", by_size(size)) for size in "012"]
    with pytest.raises(UserError, match="test side of several models") as caught:
        evaluate(bench, *models)
    assert "single_unit_blocks" in caught.value.remedy


def test_a_damaged_model_card_is_refused(bench, folds):
    pinned = bench.inputs[str(folds[0])]
    bench.store.put("broken/model.json", b"{}")
    pinned["files"] = {**pinned["files"], "model.json": "broken/model.json"}
    with pytest.raises(UserError, match=r"model\.json is not valid"):
        evaluate(bench, folds[0])

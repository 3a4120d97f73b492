"""From a spec and a dataset to the files of a model."""

import json
from uuid import uuid4

import pytest

from services.training.model_files import ModelCard, SplitFile, load_model, read_card
from services.training.training import train_model
from services.training.windows import cut, whole
from shared.contracts.specs import Cnn1dRecipe, RandomForestRecipe, SplitSpec, TrainingSpec
from shared.errors import Fatal, UserError
from shared.runs.body import RunStopped
from shared.signals.dataset import Dataset
from tests.training.support import GEOMETRY, SAMPLE_RATE_HZ, RecordingReporter, tiny_records

FOREST = RandomForestRecipe(trees=20)
NETWORK = Cnn1dRecipe(epochs=2, batch_size=16, width=4)


def spec_of(dataset_id, recipe=FOREST, **fields) -> TrainingSpec:
    fields.setdefault("split", SplitSpec(by="size", held_out=["0"]))
    return TrainingSpec(name="m", dataset_id=dataset_id, recipe=recipe, window_s=0.2, **fields)


@pytest.mark.parametrize(("recipe", "weights"), [(FOREST, "model.skops"), (NETWORK, "model.safetensors")])
def test_a_model_is_written_with_all_that_is_needed_to_use_it(bench, recipe, weights):
    dataset_id = bench.add_dataset(tiny_records(), bearing=GEOMETRY)
    spec = spec_of(dataset_id, recipe)
    result = train_model(spec, RecordingReporter(), bench.artifacts("m"))
    files = bench.files("m")
    assert set(files) == {weights, "model.json", "split.json", "history.json"}
    card = ModelCard.model_validate_json(files["model.json"])
    assert (card.recipe, card.dataset_id, card.weights, card.seed) == (recipe, dataset_id, weights, 7)
    assert result.faults == card.faults == ["healthy", "inner", "outer"]
    assert bool(card.feature_names) == (recipe.type == "rf")
    assert result.split.badge == "unseen units"
    assert result.split.test_records == 6
    assert result.parameters > 0

    model = bench.artifacts("use").input(bench.add_model("m"))
    loaded = load_model(read_card(model.path), model.path)
    dataset = Dataset.open(bench.artifacts("use").input(dataset_id).path)
    windows = cut([whole(record) for record in dataset.records], dataset.signal_CL, card.faults, card.window_samples)
    assert loaded.probability_NK(windows).shape == (len(windows), 3)


def test_the_sides_that_are_written_are_those_that_were_trained_on(bench):
    dataset_id = bench.add_dataset(tiny_records())
    result = train_model(spec_of(dataset_id), RecordingReporter(), bench.artifacts("m"))
    split = SplitFile.model_validate_json(bench.files("m")["split.json"])
    assert all("-0-" in id for id in split.test)
    assert len(split.train) == result.split.train_records
    # 0.2 s in records of 2 s: 10 windows, or 19 that overlap by half.
    assert result.train_windows == 19 * len(split.train)
    assert result.validation_windows == 10 * len(split.validation)


@pytest.mark.parametrize("recipe", [FOREST, NETWORK])
def test_the_test_side_is_never_seen_while_training_and_selecting(bench, monkeypatch, recipe):
    read: list[str] = []
    original = Dataset.signal_CL

    def watched(self, record):
        read.append(record.id)
        return original(self, record)

    monkeypatch.setattr(Dataset, "signal_CL", watched)
    train_model(spec_of(bench.add_dataset(tiny_records()), recipe), RecordingReporter(), bench.artifacts("m"))
    split = json.loads(bench.files("m")["split.json"])
    assert set(read) == {*split["train"], *split["validation"]}
    assert not set(read) & set(split["test"])


def test_another_test_side_would_have_given_the_same_model(bench):
    """Only the signals of the test side differ: weights and history must not."""
    plain = tiny_records()
    garbled = [
        {**record, "signal_CL": record["signal_CL"][:, ::-1] * 3} if record["labels"]["size"] == "0" else record
        for record in plain
    ]
    made = []
    for name, records in (("plain", plain), ("garbled", garbled)):
        dataset_id = bench.add_dataset(records, name)
        train_model(spec_of(dataset_id, NETWORK), RecordingReporter(), bench.artifacts(name))
        made.append(bench.files(name))
    assert made[0]["model.safetensors"] == made[1]["model.safetensors"]
    assert made[0]["history.json"] == made[1]["history.json"]


def test_labels_and_signals_stay_together(bench):
    """Each record trains under its own fault whatever the order in the dataset."""
    records = tiny_records()
    results = []
    for name, given in (("sorted", records), ("reversed", records[::-1])):
        spec = spec_of(bench.add_dataset(given, name), RandomForestRecipe(trees=60))
        results.append(train_model(spec, RecordingReporter(), bench.artifacts(name)))
    assert min(result.validation_accuracy for result in results) > 0.8


def test_channels_are_stacked(bench):
    records = tiny_records(channels=2)
    dataset_id = bench.add_dataset(records, channels=["a", "b"])
    for name, recipe in (("f", FOREST), ("n", NETWORK)):
        train_model(spec_of(dataset_id, recipe), RecordingReporter(), bench.artifacts(name))
        assert ModelCard.model_validate_json(bench.files(name)["model.json"]).channels == ["a", "b"]


def test_a_fault_with_one_training_record_validates_by_its_end(bench):
    dataset_id = bench.add_dataset(tiny_records(units=2, per_unit=1))
    result = train_model(spec_of(dataset_id), RecordingReporter(), bench.artifacts("m"))
    assert result.validation_windows == 3 * 2  # a fifth of ten windows of each fault
    assert any("end of records" in note for note in result.split.notes)


def test_a_stopped_training_resumes_to_the_same_files(bench):
    dataset_id = bench.add_dataset(tiny_records())
    spec = spec_of(dataset_id, NETWORK)
    train_model(spec, RecordingReporter(), bench.artifacts("whole"))
    asked = RecordingReporter()
    train_model(spec, asked, bench.artifacts("count"))
    with pytest.raises(RunStopped):
        train_model(spec, RecordingReporter(stop_at=asked.asked), bench.artifacts("part"))
    result = train_model(spec, RecordingReporter(), bench.artifacts("part", resume=True))
    assert result.resumed_from_step == 1
    assert bench.files("part") == bench.files("whole")


def test_a_training_stops_while_it_loads(bench):
    dataset_id = bench.add_dataset(tiny_records())
    with pytest.raises(RunStopped):
        train_model(spec_of(dataset_id), RecordingReporter(stop_at=1), bench.artifacts("m"))


def test_fault_rates_are_used_only_where_every_record_has_a_speed(bench):
    records = tiny_records()
    records[0] = {**records[0], "shaft_speed_rpm": None}
    dataset_id = bench.add_dataset(records, bearing=GEOMETRY)
    train_model(spec_of(dataset_id), RecordingReporter(), bench.artifacts("m"))
    assert ModelCard.model_validate_json(bench.files("m")["model.json"]).bearing is None


@pytest.mark.parametrize(("recipe", "window_s"), [(FOREST, 0.8), (NETWORK, 0.4)])
def test_each_recipe_has_a_window_of_its_own_and_the_result_and_the_card_say_which(bench, recipe, window_s):
    dataset_id = bench.add_dataset(tiny_records())
    for name, asked in (("own", None), ("asked", 0.2)):
        spec = spec_of(dataset_id, recipe).model_copy(update={"window_s": asked})
        result = train_model(spec, RecordingReporter(), bench.artifacts(name))
        card = ModelCard.model_validate_json(bench.files(name)["model.json"])
        assert result.window_s == card.window_s == (asked or window_s)
        assert card.window_samples == round(card.window_s * SAMPLE_RATE_HZ)


def test_a_dataset_that_was_not_pinned_is_our_own_mistake(bench):
    with pytest.raises(Fatal, match="not pinned"):
        train_model(spec_of(uuid4()), RecordingReporter(), bench.artifacts("m"))


def test_records_shorter_than_a_window_are_refused_with_a_remedy(bench):
    dataset_id = bench.add_dataset(tiny_records(samples=300))
    with pytest.raises(UserError, match="less than one window") as caught:
        train_model(spec_of(dataset_id), RecordingReporter(), bench.artifacts("m"))
    assert "window_s" in caught.value.remedy

"""Synthetic records train, beside real ones or instead of them; they never validate and never test."""

import json
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from pydantic import ValidationError

from services.generation.importing import import_dataset
from services.training.evaluation import evaluate_model
from services.training.model_files import ModelCard, SplitFile
from services.training.synthetic import Synthesis, synthesis_of
from services.training.training import train_model
from shared.contracts.results import TrainingResult
from shared.contracts.specs import (
    BearingGeometry,
    Cnn1dRecipe,
    ConvNetRecipe,
    EvaluationSpec,
    GenerateSpec,
    ImportSpec,
    RandomForestRecipe,
    SplitSpec,
    SyntheticSpec,
    TrainingSpec,
)
from shared.errors import UserError
from shared.runs.body import RunStopped
from shared.signals.dataset import Dataset
from shared.signals.families import FAMILIES, places
from tests.generation.support import FakeRun
from tests.signals.real import needs_real_records, real_files
from tests.training.support import Bench, RecordingReporter, tiny_records

FOREST = RandomForestRecipe(trees=20)
NETWORK = Cnn1dRecipe(epochs=2, batch_size=16, width=4)
FEW = SyntheticSpec(units_per_fault=2, records_per_unit=2, duration_s=1.0)
SPEC = GenerateSpec(
    name="d",
    faults=["healthy", "inner_race", "outer_race"],
    units_per_fault=3,
    records_per_unit=2,
    duration_s=1.0,
    sample_rate_hz=6000,
    snr_db=(10, 20),
)


def machines(bench: Bench, spec: GenerateSpec = SPEC, faults: dict[str, str] | None = None, **changed: Any) -> UUID:
    """Records as a person would have measured them: `DE_time`, their own names of faults, `changed` fields."""
    family = FAMILIES[spec.family]
    channels = changed.pop("channels", ["DE_time"] if len(family.channels) == 1 else list(family.channels))
    bearing = changed.pop("bearing", spec.bearing)
    records = []
    for index, fault, unit in places(spec):
        made = family.record(spec, index, fault, unit)
        record = {
            "id": f"{fault}-{index}",
            "fault": (faults or {}).get(fault, fault),
            "unit": f"{fault}-{unit}",
            "signal_CL": np.repeat(made.signal_CL, len(channels) // len(family.channels), axis=0),
            "sample_rate_hz": spec.sample_rate_hz,
            "shaft_speed_rpm": made.shaft_speed_rpm,
            "source": "measured",
            "labels": {"size": str(unit)},
        }
        records.append(record | changed)
    return bench.add_dataset(records, channels=channels, bearing=bearing)


def trained(
    bench: Bench, dataset_id: UUID, synthetic: SyntheticSpec | None = FEW, run: str = "m", **fields: Any
) -> TrainingResult:
    given = {"recipe": FOREST, "split": SplitSpec(by="size", held_out=["0"]), "window_s": 0.2, **fields}
    spec = TrainingSpec(name="m", dataset_id=dataset_id, synthetic=synthetic, **given)
    return train_model(spec, RecordingReporter(), bench.artifacts(run))


def planned(bench: Bench, dataset_id: UUID, synthetic: SyntheticSpec = FEW, seed: int = 7) -> Synthesis:
    dataset = Dataset.open(bench.artifacts("plan").input(dataset_id).path)
    return synthesis_of(synthetic, dataset, dataset.records, 6000.0, seed)


def only(**fields: Any) -> SyntheticSpec:
    return FEW.model_copy(update={"mode": "only", **fields})


def test_synthetic_windows_are_added_to_the_real_ones_and_validation_stays_as_it_is(bench):
    dataset_id = machines(bench)
    plain, added = trained(bench, dataset_id, None), trained(bench, dataset_id, run="added")
    # Three faults, two machines, two records of 1 s; a window of 0.2 s every 0.1 s.
    assert added.synthetic_windows == 3 * 2 * 2 * 9
    assert added.train_windows == plain.train_windows + added.synthetic_windows
    assert added.validation_windows == plain.validation_windows
    assert plain.synthetic_windows == 0
    card = ModelCard.model_validate_json(bench.files("added")["model.json"])
    assert (card.synthetic, card.synthetic_windows) == (FEW, added.synthetic_windows)
    assert (card.channels, card.sample_rate_hz) == (["DE_time"], 6000.0)
    (note,) = (note for note in added.split.notes if "synthetic" in note)
    assert note.startswith(f"108 of {added.train_windows} training windows are synthetic: healthy, inner_race")
    assert SplitFile.model_validate_json(bench.files("added")["split.json"]).report == added.split


@pytest.mark.parametrize("recipe", [FOREST, NETWORK, ConvNetRecipe(epochs=2)], ids=lambda recipe: recipe.type)
def test_a_model_of_synthetic_records_only_is_selected_and_tested_by_real_ones(bench, monkeypatch, recipe):
    dataset_id = machines(bench)
    read: set[str] = set()
    original = Dataset.signal_CL

    def watched(self, record):
        read.add(record.id)
        return original(self, record)

    monkeypatch.setattr(Dataset, "signal_CL", watched)
    result = trained(bench, dataset_id, only(), recipe=recipe)
    split = SplitFile.model_validate_json(bench.files("m")["split.json"])
    assert result.train_windows == result.synthetic_windows == 108
    assert read == set(split.validation) and not split.train
    assert (result.split.train_records, result.split.badge) == (0, "unseen units")
    assert any("9 of the training side were left out" in note for note in result.split.notes)

    spec = EvaluationSpec(model_ids=[bench.add_model("m")], resamples=100)
    evaluation = evaluate_model(spec, RecordingReporter(), bench.artifacts("e"))
    assert evaluation.record.count == 6
    assert evaluation.leaks == []
    assert read == {*split.validation, *split.test}


def test_records_whose_end_validates_keep_their_units_in_sight(bench):
    """Two units of each fault: one is tested, of the other the ends validate; its beginning does not train."""
    dataset_id = machines(bench, SPEC.model_copy(update={"units_per_fault": 2, "records_per_unit": 1}))
    result = trained(bench, dataset_id, only())
    split = json.loads(bench.files("m")["split.json"])
    assert split["train"] == split["tail"] and len(split["tail"]) == 3
    assert result.train_windows == result.synthetic_windows
    assert result.validation_windows == 3


def test_the_same_seed_makes_the_same_records_and_another_seed_others(bench):
    dataset_id = machines(bench)
    for run, seed in (("first", 7), ("again", 7), ("other", 8)):
        trained(bench, dataset_id, only(), run, recipe=NETWORK, seed=seed)
    first, again, other = (bench.files(run) for run in ("first", "again", "other"))
    assert first == again
    assert planned(bench, dataset_id, seed=7) == planned(bench, dataset_id, seed=7)
    assert first["model.safetensors"] != other["model.safetensors"]


def test_a_generated_dataset_and_its_companions_of_the_same_seed_share_no_machine(bench):
    dataset_id = machines(bench)
    assert SPEC.seed == 7
    assert planned(bench, dataset_id, seed=7).spec.seed != 7


def test_what_is_not_told_is_taken_from_the_dataset(bench):
    bearing = BearingGeometry(rollers=8)
    dataset_id = machines(bench, bearing=bearing)
    dataset = Dataset.open(bench.artifacts("plan").input(dataset_id).path)
    speeds_rpm = [record.shaft_speed_rpm or 0 for record in dataset.records]
    spec = planned(bench, dataset_id).spec
    assert spec.shaft_speed_rpm == (min(speeds_rpm), max(speeds_rpm))
    assert (spec.bearing, spec.sample_rate_hz, spec.family) == (bearing, 6000.0, "rolling_element")
    told = FEW.model_copy(update={"shaft_speed_rpm": (600.0, 900.0), "bearing": BearingGeometry(rollers=11)})
    spec = planned(bench, dataset_id, told).spec
    assert (spec.shaft_speed_rpm, spec.bearing.rollers) == ((600.0, 900.0), 11)


def test_the_size_is_known_before_anything_is_made(bench):
    synthesis = planned(bench, machines(bench))
    made = synthesis.make(RecordingReporter())
    assert synthesis.size_bytes == sum(signal_CL.nbytes for _, signal_CL in made)
    assert len({record.id for record, _ in made}) == len(made) == 12


def test_more_than_memory_holds_is_refused_before_it_is_made(bench):
    many = FEW.model_copy(update={"units_per_fault": 10_000, "records_per_unit": 100, "duration_s": 1.0})
    with pytest.raises(UserError, match="GiB are there") as caught:
        trained(bench, machines(bench), many)
    assert "fewer synthetic ones" in caught.value.remedy


def test_a_training_stops_while_it_makes_records(bench):
    synthesis = planned(bench, machines(bench))
    with pytest.raises(RunStopped):
        synthesis.make(RecordingReporter(stop_at=3))


def test_faults_that_cannot_be_made_are_left_to_real_records_or_refused_by_name(bench):
    dataset_id = machines(bench, faults={"outer_race": "rust"})
    result = trained(bench, dataset_id)
    assert result.synthetic_windows == 2 * 2 * 2 * 9
    assert "No synthetic records of rust: it is not known how to make them." in result.split.notes
    with pytest.raises(UserError, match=r"synthetic\.mode: .* rust cannot be made") as caught:
        trained(bench, dataset_id, only())
    assert "fault_names" in caught.value.remedy


def test_a_dataset_without_any_fault_that_can_be_made_is_refused(bench):
    dataset_id = bench.add_dataset(tiny_records(), channels=["a"])
    with pytest.raises(UserError, match=r"none of the dataset's faults can be made \(healthy, inner, outer\)"):
        trained(bench, dataset_id)


def test_several_channels_are_refused_where_one_is_made(bench):
    dataset_id = machines(bench, channels=["DE_time", "FE_time"])
    with pytest.raises(UserError, match="have one channel, and the dataset has DE_time, FE_time") as caught:
        trained(bench, dataset_id)
    assert "one channel" in caught.value.remedy


def test_the_two_probes_of_a_journal_bearing_are_made_by_their_names(bench):
    journal = GenerateSpec(**{**SPEC.model_dump(), "family": "journal", "faults": ["healthy", "wear", "looseness"]})
    assert trained(bench, machines(bench, journal, bearing=None)).synthetic_windows == 108
    with pytest.raises(UserError, match="have the channels x, y"):
        trained(bench, machines(bench, journal, channels=["a", "b"]))


def test_an_unknown_speed_or_bearing_must_be_told(bench):
    for place in ("shaft_speed_rpm", "bearing"):
        dataset_id = machines(bench, SPEC, None, **{place: None})
        with pytest.raises(UserError, match=rf"synthetic\.{place}") as caught:
            trained(bench, dataset_id)
        assert f"Give synthetic.{place}" in caught.value.remedy
        told = {"shaft_speed_rpm": (1700.0, 1800.0), "bearing": BearingGeometry()}[place]
        assert trained(bench, dataset_id, FEW.model_copy(update={place: told})).synthetic_windows > 0


def test_a_speed_that_no_machine_is_made_for_is_refused_with_the_place(bench):
    with pytest.raises(UserError, match=r"synthetic\.shaft_speed_rpm: must be \[low, high\] with 60 <="):
        trained(bench, machines(bench, shaft_speed_rpm=30.0))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duration_s": 0.5}, r"synthetic\.duration_s must be at least one window, 0\.8 s"),
        ({"severity": (0.9, 0.1)}, r"severity\n.*must be \[low, high\] with 0 <= low"),
        ({"mode": "replace"}, "mode"),
    ],
)
def test_what_can_be_known_from_the_spec_is_refused_with_it(fields, words):
    given = {"name": "m", "dataset_id": UUID(int=1), "recipe": {"type": "rf"}, "synthetic": fields}
    with pytest.raises(ValidationError, match=words):
        TrainingSpec.model_validate(given)


@needs_real_records
def test_synthetic_records_alone_train_a_model_for_real_bearings(bench, tmp_path):
    run = FakeRun(tmp_path / "import")
    uploads = [run.upload(path.name, path) for path in real_files() if "021" not in path.name]
    spec = ImportSpec(
        name="real",
        uploads=uploads,
        label_rule=r"^\d+_(?P<fault>ir|b|or|normal)(?P<size>\d{3})?(?:at\d+)?_(?P<load_hp>\d)hp",
        fault_names={"ir": "inner_race", "b": "ball", "or": "outer_race", "normal": "healthy"},
        unit_labels=["fault", "size"],
        sample_rate_candidates_hz=[12_000, 48_000],
        single_unit_blocks=3,
        bearing=BearingGeometry(),
    )
    import_dataset(spec, RecordingReporter(), run.artifacts())
    real = run.dataset()
    names = ("id", "fault", "unit", "labels", "sample_rate_hz", "shaft_speed_rpm", "source", "same_unit_block")
    records = [
        {**{name: getattr(record, name) for name in names}, "signal_CL": real.signal_CL(record)}
        for record in real.records
    ]
    dataset_id = bench.add_dataset(records, channels=real.channels, bearing=real.bearing)
    asked = SyntheticSpec(mode="only", units_per_fault=12, records_per_unit=1, snr_db=(0, 20))
    result = trained(
        bench, dataset_id, asked, recipe=FOREST, split=SplitSpec(by="size", held_out=["014"]), window_s=0.8
    )
    assert result.faults == ["ball", "healthy", "inner_race", "outer_race"]
    assert result.train_windows == result.synthetic_windows == 4 * 12 * 4
    split = SplitFile.model_validate_json(bench.files("m")["split.json"])
    assert {*split.validation, *split.tail} <= {record.id for record in real.records}
    # No record of any real machine was learned from; guessing is right for a quarter.
    assert result.validation_accuracy > 0.4
    evaluation = evaluate_model(
        EvaluationSpec(model_ids=[bench.add_model("m")], resamples=100), RecordingReporter(), bench.artifacts("e")
    )
    assert evaluation.record.count == len(split.test)

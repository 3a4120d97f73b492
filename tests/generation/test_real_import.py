"""The 19 real records through the import body, as a person would send them."""

import pytest

from services.generation.importing import import_dataset
from shared.contracts.specs import BearingGeometry, ImportSpec
from tests.generation.support import FakeRun, RecordingReporter
from tests.signals.real import needs_real_records, real_files

pytestmark = needs_real_records


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    run = FakeRun(tmp_path_factory.mktemp("real"))
    uploads = [run.upload(path.name, path) for path in real_files()]
    spec = ImportSpec(
        name="real",
        uploads=uploads,
        label_rule=r"^\d+_(?P<fault>ir|b|or|normal)(?P<size_mils>\d{3})?(?:at\d+)?_(?P<load_hp>\d)hp",
        fault_names={"ir": "inner_race", "b": "ball", "or": "outer_race", "normal": "healthy"},
        unit_labels=["fault", "size_mils"],
        sample_rate_candidates_hz=[12_000, 48_000],
        single_unit_blocks=3,
        bearing=BearingGeometry(),
    )
    return import_dataset(spec, RecordingReporter(), run.artifacts()), run.dataset()


def test_all_19_files_become_21_records_of_10_bearings(imported):
    result, _ = imported
    assert result.rejects == []
    assert result.faults == {"ball": 6, "healthy": 3, "inner_race": 6, "outer_race": 6}
    assert (result.records, result.units, result.sample_rate_hz) == (21, 10, 12_000)
    assert result.labels == {"load_hp": ["0", "1"], "size_mils": ["007", "014", "021"]}


def test_the_two_loads_of_one_size_are_one_bearing(imported):
    _, dataset = imported
    units = {record.unit for record in dataset.records}
    assert "inner_race/014" in units
    assert sum(record.unit == "inner_race/014" for record in dataset.records) == 2


def test_the_normal_record_is_said_to_be_at_48_khz_and_is_brought_to_12_khz_in_blocks_of_one_unit(imported):
    result, dataset = imported
    said = [note for note in result.notes if note.startswith("97_normal_0hp.mat: 48000 Hz by its shaft line at 29.9")]
    assert len(said) == 1
    assert sum(": 12000 Hz by its shaft line" in note for note in result.notes) == 18
    blocks = [record for record in dataset.records if record.fault == "healthy"]
    assert all(record.same_unit_block and record.unit == "healthy" for record in blocks)
    assert all(record.duration_s == pytest.approx(5.082 / 3, rel=0.001) for record in blocks)

import pytest

from services.generation.generating import generate_dataset
from shared.contracts.specs import GenerateSpec
from shared.runs.body import RunStopped
from tests.generation.support import FakeRun, RecordingReporter


def spec(**more):
    return GenerateSpec(name="x", **{"units_per_fault": 2, "records_per_unit": 2, "duration_s": 0.25, **more})


@pytest.mark.parametrize(("family", "faults", "channels"), [("rolling_element", 6, 1), ("journal", 8, 2)])
def test_every_fault_of_the_family_gets_its_units_and_records(tmp_path, family, faults, channels):
    run, reporter = FakeRun(tmp_path), RecordingReporter()
    result = generate_dataset(spec(family=family), reporter, run.artifacts())
    assert (result.records, result.units, len(result.faults)) == (4 * faults, 2 * faults, faults)
    assert set(result.faults.values()) == {4}
    assert result.seconds == pytest.approx(faults)
    assert [put.name for put in run.put] == ["manifest.json", "shard-00000.h5"]
    dataset = run.dataset()
    assert len(dataset.channels) == channels
    assert (dataset.bearing is not None) == (family == "rolling_element")
    assert dataset.signal_CL(dataset.records[-1]).shape == (channels, 3000)
    assert all(record.shaft_speed_rpm for record in dataset.records)
    assert reporter.fractions[-1] == 1
    assert "Synthetic" in result.notes[0]


def test_the_same_spec_gives_the_same_digest_and_another_seed_another(tmp_path):
    digests = []
    for number, seed in enumerate((7, 7, 8)):
        run = FakeRun(tmp_path / str(number))
        digests.append(generate_dataset(spec(seed=seed), RecordingReporter(), run.artifacts()).digest)
    assert digests[0] == digests[1] != digests[2]


def test_chosen_faults_keep_their_order_and_count_once(tmp_path):
    run = FakeRun(tmp_path)
    generate_dataset(spec(faults=["cage", "healthy", "cage"]), RecordingReporter(), run.artifacts())
    assert [record.fault for record in run.dataset().records] == ["cage"] * 4 + ["healthy"] * 4


def test_a_fault_of_the_other_family_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"oil_whirl.*outer_race"):
        spec(faults=["ball", "oil_whirl"])


def test_records_of_one_unit_share_its_severity_label(tmp_path):
    run = FakeRun(tmp_path)
    generate_dataset(spec(), RecordingReporter(), run.artifacts())
    by_unit: dict[str, set[str]] = {}
    for record in run.dataset().records:
        by_unit.setdefault(record.unit, set()).add(record.labels["severity"])
    assert all(len(levels) == 1 for levels in by_unit.values())


def test_it_stops_between_two_records_when_asked(tmp_path):
    run = FakeRun(tmp_path)
    with pytest.raises(RunStopped):
        generate_dataset(spec(), RecordingReporter(stop_after=5), run.artifacts())
    assert run.put == []

from zlib import crc32

import numpy as np
import pytest

from services.generation.importing import import_dataset
from shared.contracts.specs import BearingGeometry, ImportSpec
from shared.errors import UserError
from shared.runs.body import RunStopped
from tests.generation.support import FakeRun, RecordingReporter, mat_bytes, signal

RULE = r"^(?P<fault>[a-z]+)-(?P<bearing>\d)-(?P<load>\d)\."


@pytest.fixture
def run(tmp_path):
    return FakeRun(tmp_path)


def send(run, *names, samples=6000):
    """One good `.mat` per name, each with its own signal."""
    return [
        run.upload(name, mat_bytes(run.workdir, DE_time=signal(crc32(name.encode()), samples), RPM=1797.0))
        for name in names
    ]


def spec(uploads, **more):
    more = {"label_rule": RULE, "sample_rate_candidates_hz": [12_000], "unit_labels": ["fault", "bearing"], **more}
    return ImportSpec(name="x", uploads=uploads, **more)


def test_good_files_become_a_dataset_that_says_what_it_is(run):
    uploads = send(run, "ir-1-0.mat", "ir-1-1.mat", "or-2-0.mat", "ok-3-0.mat")
    bearing = BearingGeometry(rollers=8)
    reporter = RecordingReporter()
    result = import_dataset(spec(uploads, bearing=bearing, fault_names={"ok": "healthy"}), reporter, run.artifacts())
    assert [put.name for put in run.put] == ["manifest.json", "shard-00000.h5"]
    assert (result.records, result.units, result.seconds) == (4, 3, 2.0)
    assert result.faults == {"healthy": 1, "ir": 2, "or": 1}
    assert result.labels == {"bearing": ["1", "2", "3"], "load": ["0", "1"]}
    assert (result.sample_rate_hz, result.channels, result.rejects) == (12_000, ["DE_time"], [])
    dataset = run.dataset()
    assert dataset.digest == result.digest
    assert dataset.bearing == bearing
    record = dataset.records[0]
    assert (record.id, record.fault, record.unit, record.source) == ("ir-1-0", "ir", "ir/1", "ir-1-0.mat")
    assert record.shaft_speed_rpm == 1797
    expected = signal(crc32(b"ir-1-0.mat")).astype(np.float32)
    np.testing.assert_array_equal(dataset.signal_CL(record)[0], expected)
    assert reporter.fractions == sorted(reporter.fractions)
    assert reporter.fractions[-1] == pytest.approx(1)
    assert set(reporter.stages) == {"read", "write"}


def test_a_bad_file_is_rejected_with_reason_and_remedy_and_the_rest_is_imported(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    uploads += [
        run.upload("ir-1-2.mat", b"no mat at all"),
        run.upload("notes.txt", b"hello"),
        run.upload("or-2-3.mat", mat_bytes(run.workdir, FE_time=signal(1))),
        run.upload("or-2-4.csv", b"DE_time\n1\n2\n"),
        run.upload("or-2-5.mat", mat_bytes(run.workdir, DE_time=np.r_[signal(2), np.nan])),
    ]
    result = import_dataset(spec(uploads), RecordingReporter(), run.artifacts())
    assert result.records == 2
    assert [reject.file for reject in result.rejects] == [
        "ir-1-2.mat",
        "notes.txt",
        "or-2-3.mat",
        "or-2-4.csv",
        "or-2-5.mat",
    ]
    assert "not a MATLAB v5 file" in result.rejects[0].reason
    assert "FE_time" in result.rejects[2].remedy
    assert all(reject.reason and reject.remedy for reject in result.rejects)


def test_the_same_signal_under_another_name_is_rejected(run):
    content = mat_bytes(run.workdir, DE_time=signal(5))
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    uploads += [run.upload("ok-3-0.mat", content), run.upload("ok-3-1.mat", content)]
    result = import_dataset(spec(uploads), RecordingReporter(), run.artifacts())
    assert result.records == 3
    assert result.rejects[0].file == "ok-3-1.mat"
    assert "the same signal as in ok-3-0.mat" in result.rejects[0].reason


def test_the_same_name_twice_with_other_content_keeps_both(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    uploads.append(run.upload("ir-1-0.mat", mat_bytes(run.workdir, DE_time=signal(77))))
    import_dataset(spec(uploads), RecordingReporter(), run.artifacts())
    assert [record.id for record in run.dataset().records] == ["ir-1-0", "or-2-0", "ir-1-0-2"]


@pytest.mark.parametrize("names", [["ir-1-0.mat", "ir-2-0.mat"], []])
def test_fewer_than_two_faults_are_refused_with_the_first_reasons(run, names):
    uploads = [*send(run, *names), run.upload("bad.mat", b"")]
    with pytest.raises(UserError, match=r"two faults or more.*bad\.mat: label_rule does not match"):
        import_dataset(spec(uploads), RecordingReporter(), run.artifacts())
    assert run.put == []


def test_a_fault_of_one_unit_is_cut_into_disjoint_blocks_marked_same_unit(run):
    uploads = send(run, "ir-1-0.mat", "ir-2-0.mat", "ok-3-0.mat", "ok-3-1.mat")
    result = import_dataset(spec(uploads, single_unit_blocks=3), RecordingReporter(), run.artifacts())
    assert result.faults == {"ir": 2, "ok": 6}
    dataset = run.dataset()
    blocks = [record for record in dataset.records if record.fault == "ok"]
    assert [record.id for record in blocks[:3]] == [f"ok-3-0.block-0{i}" for i in range(3)]
    assert all(record.same_unit_block and record.unit == "ok/3" for record in blocks)
    assert not any(record.same_unit_block for record in dataset.records if record.fault == "ir")
    joined = np.concatenate([dataset.signal_CL(record)[0] for record in blocks[:3]])
    np.testing.assert_array_equal(joined, signal(crc32(b"ok-3-0.mat")).astype(np.float32))
    assert any("ok exists on one unit only" in note for note in result.notes)


def test_blocks_that_would_be_too_short_are_refused(run):
    uploads = send(run, "ir-1-0.mat", "ok-3-0.mat")
    with pytest.raises(UserError, match="too few for 16 blocks"):
        import_dataset(spec(uploads, single_unit_blocks=16), RecordingReporter(), run.artifacts())


def shaft_record(rate_hz, seed):
    time_s = np.arange(4 * rate_hz) / rate_hz
    tones = sum(np.sin(2 * np.pi * 29.95 * order * time_s + seed) for order in range(1, 13))
    return tones + signal(seed, len(time_s))


def test_the_rate_is_decided_per_record_said_and_brought_to_the_target(run):
    uploads = [
        run.upload(name, mat_bytes(run.workdir, DE_time=shaft_record(rate_hz, seed), RPM=1797.0))
        for seed, (name, rate_hz) in enumerate((("ir-1-0.mat", 12_000), ("ok-2-0.mat", 48_000)))
    ]
    uploads.append(run.upload("or-1-0.mat", mat_bytes(run.workdir, DE_time=signal(9, 48_000), RPM=1797.0)))
    result = import_dataset(
        spec(uploads, sample_rate_candidates_hz=[12_000, 48_000]), RecordingReporter(), run.artifacts()
    )
    assert any(note.startswith("ok-2-0.mat: 48000 Hz by its shaft line at 29.9") for note in result.notes)
    assert any(note.startswith("ir-1-0.mat: 12000 Hz by its shaft line at 29.9") for note in result.notes)
    assert "ok-2-0.mat: resampled to 12000 Hz with anti-aliasing." in result.notes
    assert {(record.sample_rate_hz, record.samples) for record in run.dataset().records} == {(12_000, 48_000)}
    assert "do not decide" in result.rejects[0].reason


def test_a_record_below_the_target_rate_is_rejected_because_its_empty_band_would_tell_it(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    with pytest.raises(UserError, match="below the target") as caught:
        import_dataset(spec(uploads, target_sample_rate_hz=20_000), RecordingReporter(), run.artifacts())
    assert "12000" in caught.value.remedy


def test_csv_and_a_speed_given_for_all_files(run):
    lines = ["DE_time,x", *(f"{value},0" for value in signal(3))]
    uploads = [*send(run, "ir-1-0.mat"), run.upload("or-2-0.csv", "\n".join(lines).encode())]
    result = import_dataset(spec(uploads, shaft_speed_rpm=1500), RecordingReporter(), run.artifacts())
    assert [record.shaft_speed_rpm for record in run.dataset().records] == [1797, 1500]
    assert "or-2-0.csv: the file names no shaft speed; 1500 rpm as given." in result.notes


@pytest.mark.parametrize("looks", range(7))
def test_it_stops_between_any_two_records_when_asked_and_leaves_no_dataset(run, looks):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat", "ok-3-0.mat")
    with pytest.raises(RunStopped):
        import_dataset(spec(uploads), RecordingReporter(stop_after=looks), run.artifacts())
    assert len(run.put) == 0


def test_importing_twice_gives_the_same_digest_whatever_the_order_of_time(tmp_path):
    digests = set()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        run = FakeRun(tmp_path / str(number))
        uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
        digests.add(import_dataset(spec(uploads), RecordingReporter(), run.artifacts()).digest)
    assert len(digests) == 1


def test_one_candidate_named_twice_is_no_decision_to_be_told(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    result = import_dataset(
        spec(uploads, sample_rate_candidates_hz=[12_000, 12_000]), RecordingReporter(), run.artifacts()
    )
    assert not [note for note in result.notes if "confidence" in note]


def test_a_group_named_unit_that_names_no_unit_is_told(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat")
    rule = r"^(?P<fault>[a-z]+)-(?P<unit>\d)"
    result = import_dataset(spec(uploads, label_rule=rule, unit_labels=[]), RecordingReporter(), run.artifacts())
    assert "unit_labels" in next(note for note in result.notes if "'unit'" in note)
    result = import_dataset(spec(uploads, label_rule=rule, unit_labels=["unit"]), RecordingReporter(), run.artifacts())
    assert not [note for note in result.notes if "'unit'" in note]


def test_a_record_that_resampling_makes_too_short_is_rejected_with_the_rate(run):
    uploads = send(run, "ir-1-0.mat", "or-2-0.mat", samples=1100)
    with pytest.raises(UserError, match="550 samples at 6000 Hz") as caught:
        import_dataset(spec(uploads, target_sample_rate_hz=6000), RecordingReporter(), run.artifacts())
    assert "target_sample_rate_hz" in caught.value.remedy

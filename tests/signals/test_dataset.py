import json
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.specs import BearingGeometry
from shared.errors import UserError
from shared.signals.dataset import Dataset, DatasetWriter, dataset_digest, record_digest


def signal(index, samples=2000, channels=2):
    return np.random.default_rng(index).standard_normal((channels, samples)).astype(np.float32)


def write(folder, count=4, shard_bytes=1 << 20):
    with DatasetWriter(folder, ["x", "y"], BearingGeometry(), shard_bytes) as writer:
        for index in range(count):
            writer.add(
                id=f"r{index}",
                fault=["ball", "healthy"][index % 2],
                unit=f"u{index}",
                labels={"size_mils": "007", "load_hp": str(index)},
                signal_CL=signal(index),
                sample_rate_hz=12_000,
                shaft_speed_rpm=1797.0 if index else None,
                source=f"{index}.mat",
                same_unit_block=index == 3,
            )
        return writer.close()


def opened(folder):
    return Dataset.open(lambda name: folder / name)


def test_what_was_written_is_read_back(tmp_path):
    manifest = write(tmp_path)
    dataset = opened(tmp_path)
    assert dataset.records == manifest.records
    assert dataset.channels == ["x", "y"]
    assert dataset.bearing == BearingGeometry()
    assert dataset.digest == manifest.digest == dataset_digest(dataset.records)
    assert dataset.records[0].shaft_speed_rpm is None
    assert dataset.records[1].labels == {"load_hp": "1", "size_mils": "007"}
    assert [record.same_unit_block for record in dataset.records] == [False, False, False, True]
    for index, record in enumerate(dataset.records):
        read = dataset.signal_CL(record)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, signal(index))
        assert record.duration_s == pytest.approx(2000 / 12_000)


def test_the_digest_depends_on_the_bytes_alone_and_not_on_the_shard_size(tmp_path):
    whole, cut = write(tmp_path / "a"), write(tmp_path / "b", shard_bytes=20_000)
    assert {record.shard for record in whole.records} == {"shard-00000.h5"}
    assert [record.shard for record in cut.records] == [f"shard-0000{i}.h5" for i in range(4)]
    assert whole.digest == cut.digest
    assert [r.sha256 for r in whole.records] == [record_digest(signal(i)) for i in range(4)]


def test_the_digest_of_a_known_record_never_changes():
    known = np.array([[0.0, 1.0, -2.5]], dtype=np.float32)
    assert record_digest(known) == "4356516ed57de986ba8080c557e8856871336d6a17b170fb946df125605466c9"


def test_writing_twice_gives_the_same_files(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b")
    for name in ("manifest.json", "shard-00000.h5"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_shard_describes_itself(tmp_path):
    write(tmp_path)
    with h5py.File(tmp_path / "shard-00000.h5") as shard:
        assert json.loads(shard.attrs["channels"]) == ["x", "y"]
        stored = shard["r1"]
        assert (stored.dtype, stored.shape) == (np.dtype("<f4"), (2, 2000))
        assert (stored.attrs["fault"], stored.attrs["sample_rate_hz"]) == ("healthy", 12_000)
        assert json.loads(stored.attrs["labels"])["size_mils"] == "007"


def test_an_opened_dataset_can_be_pickled(tmp_path):
    write(tmp_path)
    dataset = pickle.loads(pickle.dumps(Dataset.open(tmp_path.joinpath)))
    np.testing.assert_array_equal(dataset.signal_CL(dataset.records[1]), signal(1))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"signal_CL": np.zeros((2, 10))}, "float32"),
        ({"signal_CL": np.zeros((1, 10), np.float32)}, "float32"),
        ({"signal_CL": np.full((2, 10), np.nan, np.float32)}, "NaN"),
        ({"id": "../x"}, "id"),
        ({"sample_rate_hz": 0.0}, "sample_rate_hz"),
        ({"fault": ""}, "fault"),
    ],
)
def test_a_record_that_breaks_the_format_is_refused_when_written(tmp_path, change, why):
    good = {"id": "a", "fault": "f", "unit": "u", "signal_CL": signal(0), "sample_rate_hz": 1.0}
    with DatasetWriter(tmp_path, ["x", "y"], None) as writer, pytest.raises(ValueError, match=why):
        writer.add(**{**good, "shaft_speed_rpm": None, "source": "s", **change})


def test_a_repeated_id_and_an_empty_dataset_are_refused(tmp_path):
    with DatasetWriter(tmp_path, ["x", "y"], None) as writer:
        with pytest.raises(ValueError, match="records"):
            writer.close()
        for _ in range(2):
            kept = {"id": "a", "fault": "f", "unit": "u", "signal_CL": signal(0), "sample_rate_hz": 1.0}
            if writer.records:
                with pytest.raises(ValueError, match="already"):
                    writer.add(**kept, shaft_speed_rpm=None, source="s")
            else:
                writer.add(**kept, shaft_speed_rpm=None, source="s")


@pytest.mark.parametrize("path", [["digest"], ["records", 0, "sha256"], ["records", 0, "samples"], ["channels"]])
def test_a_manifest_without_a_field_is_refused_by_name(tmp_path, path):
    write(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    place = content
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=str(path[-1])):
        opened(tmp_path)


def test_a_manifest_whose_records_were_changed_is_refused(tmp_path):
    write(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    content["records"].reverse()
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="digest does not fit"):
        opened(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_the_manifest_is_a_user_error_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("manifest")
    write(folder, count=2)
    raw = bytearray((folder / "manifest.json").read_bytes())
    match data.draw(st.sampled_from(["cut", "flip", "random"])):
        case "cut":
            raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
        case "flip":
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        case _:
            raw = bytearray(data.draw(st.binary(max_size=200)))
    (folder / "manifest.json").write_bytes(raw)
    try:
        dataset = opened(folder)
        for record in dataset.records:
            dataset.signal_CL(record)
    except UserError as error:
        assert error.remedy


def test_a_missing_manifest_and_a_missing_shard_are_user_errors(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json cannot be read"):
        opened(tmp_path)
    write(tmp_path)
    (tmp_path / "shard-00000.h5").unlink()
    dataset = opened(tmp_path)
    with pytest.raises(UserError, match=r"shard-00000\.h5 cannot be read"):
        dataset.signal_CL(dataset.records[0])


@pytest.mark.parametrize("keep", [0, 100, 3000])
def test_a_torn_shard_is_a_user_error(tmp_path, keep):
    write(tmp_path)
    path = tmp_path / "shard-00000.h5"
    path.write_bytes(path.read_bytes()[:keep])
    dataset = opened(tmp_path)
    with pytest.raises(UserError):
        dataset.signal_CL(dataset.records[0])


def test_a_changed_sample_is_noticed(tmp_path):
    write(tmp_path)
    with h5py.File(tmp_path / "shard-00000.h5", "r+") as shard:
        shard["r1"][0, 0] += 1
    dataset = opened(tmp_path)
    with pytest.raises(UserError, match="another digest"):
        dataset.signal_CL(dataset.records[1])


@pytest.mark.parametrize("hostile", ["link", "external", "virtual", "group", "type", "shape", "absent"])
def test_a_shard_that_holds_something_else_is_refused(tmp_path, hostile):
    write(tmp_path)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(signal(1).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["r1"] = signal(1)
    with h5py.File(tmp_path / "shard-00000.h5", "r+") as shard:
        del shard["r1"]
        if hostile == "link":
            shard["r1"] = h5py.ExternalLink("other.h5", "/r1")
        elif hostile == "external":
            shard.create_dataset("r1", (2, 2000), "<f4", external=[(str(secret), 0, 16_000)])
        elif hostile == "virtual":
            layout = h5py.VirtualLayout((2, 2000), "<f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "r1", (2, 2000))
            shard.create_virtual_dataset("r1", layout)
        elif hostile == "group":
            shard.create_group("r1")
        elif hostile == "type":
            shard["r1"] = signal(1).astype(np.float64)
        elif hostile == "shape":
            shard["r1"] = signal(1)[:, :100]
    dataset = opened(tmp_path)
    with pytest.raises(UserError, match="r1"):
        dataset.signal_CL(dataset.records[1])

"""Signals are read once, are finite, fit into memory, and reading stops when asked to."""

import numpy as np
import pytest

from services.training.signals import memory_of_this_machine_bytes, signal_reader
from shared.errors import UserError
from shared.runs.body import RunStopped
from shared.signals.dataset import Dataset
from tests.training.support import RecordingReporter, tiny_records


@pytest.fixture
def dataset(bench) -> Dataset:
    dataset_id = bench.add_dataset(tiny_records())
    return Dataset.open(bench.artifacts("m").input(dataset_id).path)


def test_a_record_is_read_once(dataset, monkeypatch):
    read: list[str] = []
    original = Dataset.signal_CL

    def watched(self, record):
        read.append(record.id)
        return original(self, record)

    monkeypatch.setattr(Dataset, "signal_CL", watched)
    signal_CL = signal_reader(dataset, dataset.records, RecordingReporter())
    assert signal_CL(dataset.records[0]) is signal_CL(dataset.records[0])
    assert read == [dataset.records[0].id]


def test_reading_stops_when_asked_to(dataset):
    signal_CL = signal_reader(dataset, dataset.records, RecordingReporter(stop_at=2))
    signal_CL(dataset.records[0])
    with pytest.raises(RunStopped):
        signal_CL(dataset.records[1])


def test_more_signals_than_memory_are_refused_before_any_is_read(dataset):
    need = 4 * sum(record.samples for record in dataset.records)
    signal_reader(dataset, dataset.records, RecordingReporter(), memory_bytes=2 * need)
    with pytest.raises(UserError, match="GiB") as caught:
        signal_reader(dataset, dataset.records, RecordingReporter(), memory_bytes=2 * need - 2)
    assert "target_sample_rate_hz" in caught.value.remedy


def test_a_signal_that_is_not_finite_is_refused(dataset, monkeypatch):
    monkeypatch.setattr(Dataset, "signal_CL", lambda self, record: np.array([[0.0, np.nan]], dtype=np.float32))
    signal_CL = signal_reader(dataset, dataset.records, RecordingReporter())
    with pytest.raises(UserError, match="NaN or infinite"):
        signal_CL(dataset.records[0])


def test_a_control_group_may_allow_less_than_the_machine_has(tmp_path):
    limit = tmp_path / "memory.max"
    physical = memory_of_this_machine_bytes(limit)
    assert physical > 2**28
    limit.write_text("1048576\n", encoding="utf-8")
    assert memory_of_this_machine_bytes(limit) == 2**20
    limit.write_text("max\n", encoding="utf-8")
    assert memory_of_this_machine_bytes(limit) == physical

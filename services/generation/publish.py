"""What both bodies share: stopping when asked, putting the files of a dataset, summing it up."""

from collections import Counter

from shared.contracts.results import DatasetResult, Reject
from shared.runs.body import Reporter, RunArtifacts, RunStopped
from shared.signals.dataset import DatasetWriter, Manifest

#: More notes than a reader reads; the rest is counted.
_MAX_NOTES = 200
_MAX_LABEL_VALUES = 1000


def check_stop(reporter: Reporter) -> None:
    """Raise `RunStopped` where the run was asked to stop. Nothing is kept: a dataset is made in one go."""
    if reporter.should_stop():
        raise RunStopped


def publish(artifacts: RunArtifacts, writer: DatasetWriter, reporter: Reporter) -> None:
    """Put the closed dataset's files under the names that training opens."""
    for path in writer.files():
        check_stop(reporter)
        artifacts.put(path.name, path, "application/json" if path.suffix == ".json" else "application/x-hdf5")


def dataset_result(manifest: Manifest, sample_rate_hz: float, notes: list[str], rejects: list[Reject]) -> DatasetResult:
    """Sum a dataset up for its readers."""
    records = manifest.records
    names = sorted({label for record in records for label in record.labels})
    values = {name: sorted({r.labels[name] for r in records if name in r.labels})[:_MAX_LABEL_VALUES] for name in names}
    more = [f"{len(notes) - _MAX_NOTES} more notes are left out."] if len(notes) > _MAX_NOTES else []
    return DatasetResult(
        records=len(records),
        units=len({record.unit for record in records}),
        seconds=sum(record.duration_s for record in records),
        sample_rate_hz=sample_rate_hz,
        channels=manifest.channels,
        faults=dict(sorted(Counter(record.fault for record in records).items())),
        labels=values,
        digest=manifest.digest,
        notes=notes[:_MAX_NOTES] + more,
        rejects=rejects,
    )

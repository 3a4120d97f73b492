"""Reads the signals of one side, each record once. Called by `training.py` and `evaluation.py`.

All signals of a side stay in memory as float32 while windows are cut from them, so a side may be as large as half the
memory of the machine: 4 GiB hold a day of one channel at 12 kHz.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from services.training.windows import Float32
from shared.errors import UserError
from shared.runs.body import Reporter, RunStopped
from shared.signals.dataset import Dataset, RecordInfo

#: The rest is for features, batches, weights and the process itself.
SHARE_OF_MEMORY = 0.5
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def signal_reader(
    dataset: Dataset,
    records: Sequence[RecordInfo],
    reporter: Reporter,
    memory_bytes: int | None = None,
    besides_bytes: int = 0,
) -> Callable[[RecordInfo], Float32]:
    """A function that gives the signal of each of `records`, float32 [channel, sample]; it reads a record once.

    Raises `UserError` if they and the `besides_bytes` of other signals do not fit into memory; the function raises it
    for a signal that is not finite, and `RunStopped` on request."""
    have_bytes = SHARE_OF_MEMORY * (memory_bytes or memory_of_this_machine_bytes())
    need_bytes = besides_bytes + 4 * len(dataset.channels) * sum(record.samples for record in records)
    if need_bytes > have_bytes:
        raise UserError(
            f"The signals of this side take {need_bytes / 2**30:.1f} GiB; {have_bytes / 2**30:.1f} GiB are there"
            " for them.",
            remedy="Import with a lower target_sample_rate_hz or fewer records, make fewer synthetic ones, or use a"
            " worker with more memory.",
        )
    signals: dict[str, Float32] = {}

    def signal_CL(record: RecordInfo) -> Float32:
        if reporter.should_stop():
            raise RunStopped
        if record.id not in signals:
            signal = dataset.signal_CL(record)
            if not np.isfinite(signal).all():
                raise UserError(f"Record {record.id!r} holds NaN or infinite values.", remedy="Import it again.")
            signals[record.id] = signal
        return signals[record.id]

    return signal_CL


def memory_of_this_machine_bytes(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Physical memory, or less where a control group allows less."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup_limit.read_text("utf-8").strip() if cgroup_limit.exists() else "max"
    return min(physical, int(limit)) if limit.isdigit() else physical

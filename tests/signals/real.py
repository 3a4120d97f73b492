"""Real records for tests that need them; they skip where there are none."""

import os
import re
from functools import cache
from pathlib import Path

import pytest

from shared.signals.mat_file import RawRecord
from shared.signals.readers import read_record

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("FAULTLINE_TEST_DATA", str(ROOT / "../shared/data"))) / "cwru"
NAME = re.compile(r"(?P<id>\d+)_(?P<fault>ir|b|or|normal)(?P<size>\d{3})?(at\d+)?_(?P<load>\d)hp")

needs_real_records = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no real records in {FOLDER}; set FAULTLINE_TEST_DATA"
)


def real_files() -> list[Path]:
    return sorted(FOLDER.glob("*.mat"))


@cache
def real_record(name: str) -> RawRecord:
    return read_record(FOLDER / name, name, ["DE_time"], "RPM")


def named(path: Path) -> re.Match[str]:
    """What the name of a real file says."""
    match = NAME.match(path.name)
    assert match is not None, path.name
    return match


def speed_rpm(record: RawRecord) -> float:
    """Every real record here names its speed."""
    assert record.shaft_speed_rpm is not None
    return record.shaft_speed_rpm

"""Fixtures of the training tests."""

from pathlib import Path

import pytest

from tests.training.support import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty store."""
    return Bench(tmp_path)

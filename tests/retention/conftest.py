"""A platform whose store is looked at."""

import pytest

from tests.conftest import MakePlatform
from tests.retention.support import Attic


@pytest.fixture
def attic(make_platform: MakePlatform) -> Attic:
    return Attic(make_platform())

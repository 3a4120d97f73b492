"""A campaign on a platform of real processes."""

import pytest

from tests.conftest import MakePlatform
from tests.hpo.support import Campaigns


@pytest.fixture
def campaigns(make_platform: MakePlatform) -> Campaigns:
    return Campaigns(make_platform())

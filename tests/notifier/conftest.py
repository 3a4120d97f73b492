"""What tests of the notifier share."""

import pytest

from tests.conftest import MakePlatform
from tests.support.notices import ENVIRONMENT, Local, Notices


@pytest.fixture
def notices(make_platform: MakePlatform) -> Notices:
    """A platform whose notifier may reach loopback."""
    return Notices(make_platform(**ENVIRONMENT))


@pytest.fixture
def local(make_platform: MakePlatform) -> Local:
    """The same, without processes."""
    return Local(make_platform(**ENVIRONMENT))

"""The same tests on a folder and on S3: platforms whose files lie in one or the other."""

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import MakePlatform
from tests.support.platform import Platform
from tests.support.s3 import S3Server, moto_process

MakeStored = Callable[..., Platform]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server in a process of its own."""
    with moto_process() as server:
        yield server


@pytest.fixture(params=["folder", "s3"])
def make_stored(request: pytest.FixtureRequest, make_platform: MakePlatform) -> MakeStored:
    """Makes a platform whose files lie there."""
    if request.param == "folder":
        return make_platform
    server: S3Server = request.getfixturevalue("s3")
    return lambda **environment: make_platform(**server.environment(server.bucket()), **environment)

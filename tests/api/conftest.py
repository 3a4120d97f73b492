"""The API in this process, eager or not, against a real database."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from services.api.app import build
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, settings_from

MakeClient = Callable[..., TestClient]


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture
def make_client(platform: Platform) -> Iterator[MakeClient]:
    """A client of an API built from the platform's environment and more."""
    opened: list[TestClient] = []

    def make(**environment: str) -> TestClient:
        with settings_from({**platform.environment, **environment}) as settings:
            client = TestClient(
                build(settings), headers={"Authorization": f"Bearer {API_KEY}"}, raise_server_exceptions=False
            )
        opened.append(client)
        return client.__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()

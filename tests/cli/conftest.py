"""A home and a state folder of one's own, an API in memory or a real one, and the command line on top of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.api.app import build
from services.cli import session
from services.cli.main import app
from services.cli.sdk import Client
from tests.cli.fake_api import KEY, URL, FakeApi
from tests.conftest import MakePlatform
from tests.support.platform import API_KEY, Platform, settings_from

MakeClient = Callable[..., Client]
#: of the real API in this process
REAL_URL = "http://testserver"


class InProcess(httpx.BaseTransport):
    """Requests of the SDK to an API in this process; to other hosts over the network."""

    def __init__(self, server: TestClient) -> None:
        self.server = server
        self.network = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, as a whole."""
        if request.url.host != httpx.URL(REAL_URL).host:
            return self.network.handle_request(request)
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        answer = self.server.request(request.method, str(request.url), headers=headers, content=request.read())
        kept = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        return httpx.Response(answer.status_code, headers=kept, content=answer.content)

    def close(self) -> None:
        """End connections."""
        self.network.close()


class LosesAnswers(InProcess):
    """The same, but the first answer to every request is lost after the API has done what was asked."""

    def __init__(self, server: TestClient) -> None:
        super().__init__(server)
        self.asked: set[tuple[str, str, bytes]] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to a repeat."""
        answer = super().handle_request(request)
        what = (request.method, request.url.path, request.content)
        if what not in self.asked:
            self.asked.add(what)
            raise httpx.ReadError("The connection was reset.")
        return answer


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nobody's real credentials are read or written here."""
    if request.path.name in {"test_stack.py", "test_engines.py"}:
        return
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAULTLINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("FAULTLINE_URL", raising=False)
    monkeypatch.delenv("FAULTLINE_API_KEY", raising=False)


@pytest.fixture
def api() -> FakeApi:
    """An API in memory."""
    return FakeApi()


@pytest.fixture
def faultline(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls a command as a user who is logged in."""
    monkeypatch.setenv("FAULTLINE_URL", URL)
    monkeypatch.setenv("FAULTLINE_API_KEY", KEY)
    monkeypatch.setattr(session, "connect", lambda _: api.client())
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, list(words), **more)


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    """Real engines, no processes."""
    return make_platform()


@pytest.fixture
def server(platform: Platform) -> Iterator[TestClient]:
    """One real API in this process."""
    with settings_from(platform.environment) as settings:
        server = TestClient(build(settings), raise_server_exceptions=False)
    with server:
        yield server


@pytest.fixture
def make(server: TestClient) -> MakeClient:
    """Makes a client of the real API, by its key and, if need be, a transport in between."""

    def client(key: str, transport: httpx.BaseTransport | None = None) -> Client:
        return Client(REAL_URL, key, transport=transport or InProcess(server), retries=0, sleep=lambda _: None)

    return client


@pytest.fixture
def client(make: MakeClient) -> Client:
    """The owner's client of the real API."""
    return make(API_KEY)


@pytest.fixture
def real(make: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Calls a command on the real API."""
    monkeypatch.setenv("FAULTLINE_URL", REAL_URL)
    monkeypatch.setenv("FAULTLINE_API_KEY", API_KEY)
    monkeypatch.setattr(session, "connect", lambda known: make(known.api_key))
    runner = CliRunner()
    return lambda *words, **more: runner.invoke(app, list(words), **more)

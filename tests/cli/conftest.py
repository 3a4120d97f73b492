"""A home and a state folder of one's own, an API in memory, and the command line on top of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import session
from services.cli.main import app
from tests.cli.fake_api import KEY, URL, FakeApi


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nobody's real credentials are read or written here."""
    if request.path.name in {"test_stack.py", "test_engines.py"}:
        return
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAULTLINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
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

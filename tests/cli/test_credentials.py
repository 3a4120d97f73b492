"""Where a key comes from, who may read it, and where it goes."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from services.cli.credentials import NotLoggedIn, login_file, resolve, stack_file, store
from shared.errors import UserError
from tests.cli.fake_api import KEY, FakeApi

LOCAL, FAR = "http://127.0.0.1:9000", "https://faultline.example"


def local(key: str = "local-key") -> None:
    """As `faultline up` leaves it."""
    stack_file().parent.mkdir(parents=True, exist_ok=True)
    stack_file().write_text(json.dumps({"url": LOCAL, "api_key": key}))


def found(url: str | None = None, key: str | None = None) -> tuple[str, str]:
    """What is used."""
    credentials = resolve(url, key)
    return credentials.url, credentials.api_key


def test_options_come_before_environment_before_local_stack_before_login(monkeypatch: pytest.MonkeyPatch):
    store(FAR, "login-key")
    assert found() == (FAR, "login-key")
    local()
    assert found() == (LOCAL, "local-key")
    monkeypatch.setenv("FAULTLINE_URL", "http://env")
    monkeypatch.setenv("FAULTLINE_API_KEY", "env-key")
    assert found() == ("http://env", "env-key")
    assert found("http://option", "option-key") == ("http://option", "option-key")


def test_a_stored_key_never_goes_to_another_url():
    local()
    store(FAR, "login-key")
    with pytest.raises(NotLoggedIn, match="http://stranger"):
        found("http://stranger")


def test_a_url_finds_the_key_that_was_stored_for_it():
    local()
    store(FAR, "login-key")
    assert found(f"{FAR}/") == (f"{FAR}/", "login-key")


def test_a_key_alone_goes_where_the_stack_is():
    local()
    assert found(key="mine") == (LOCAL, "mine")


def test_without_anything_the_remedy_is_told():
    with pytest.raises(NotLoggedIn) as raised:
        found()
    assert "faultline up" in raised.value.remedy


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"url": 1}', "\xff"])
def test_a_damaged_file_is_named(text: str):
    stack_file().parent.mkdir(parents=True)
    stack_file().write_text(text, "latin-1")
    with pytest.raises(UserError, match="cannot be read") as raised:
        found()
    assert str(stack_file()) in raised.value.message


def test_only_the_owner_can_read_what_login_stores():
    store(FAR, "old")
    login_file().chmod(0o644)
    store(FAR, "new")
    assert stat.S_IMODE(login_file().stat().st_mode) == 0o600
    assert found() == (FAR, "new")
    assert [path.name for path in login_file().parent.iterdir()] == ["credentials.json"]


def test_login_checks_the_key_before_it_is_stored(faultline: Callable[..., Result], api: FakeApi):
    result = faultline("login", "--url", FAR, "--key", KEY)
    assert result.exit_code == 0, result.output
    assert "ada" in result.stdout
    assert KEY not in result.stdout
    assert json.loads(login_file().read_text()) == {"url": FAR, "api_key": KEY}


def test_login_with_a_key_that_is_refused_stores_nothing(faultline: Callable[..., Result], api: FakeApi):
    api.outages = [401]
    result = faultline("login", "--url", FAR, "--key", "wrong")
    assert result.exit_code == 2
    assert not login_file().exists()


def test_login_reads_a_key_from_stdin(faultline: Callable[..., Result]):
    assert faultline("login", "--key", "-", input=f"{KEY}\n").exit_code == 0
    assert json.loads(login_file().read_text())["api_key"] == KEY


def test_login_tells_that_a_local_stack_is_asked_first(faultline: Callable[..., Result]):
    local()
    assert "asked first" in faultline("login", "--url", FAR, "--key", KEY).stdout


def test_the_login_folder_is_made_for_its_owner_only(tmp_path: Path):
    store(FAR, "k")
    assert stat.S_IMODE(login_file().parent.stat().st_mode) == 0o700


def test_a_credentials_file_whose_values_are_no_text_is_named():
    stack_file().parent.mkdir(parents=True, exist_ok=True)
    stack_file().write_text(json.dumps({"url": 5, "api_key": None}))
    with pytest.raises(UserError, match=r"credentials\.json"):
        resolve(None, None)


def test_a_state_folder_that_is_a_file_holds_no_credentials():
    stack_file().parent.parent.mkdir(parents=True, exist_ok=True)
    stack_file().parent.write_text("a file")
    with pytest.raises(NotLoggedIn):
        resolve(None, None)

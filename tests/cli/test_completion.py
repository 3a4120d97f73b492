"""What a shell is told may come next."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from services.cli import known
from services.cli.credentials import NotLoggedIn
from services.cli.sdk import Client
from tests.cli.fake_api import KEY, URL, FakeApi

Faultline = Callable[..., Result]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def words(faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The candidates for a command line whose last word is being typed."""

    def client(_url: str, _key: str, **_: object) -> Client:
        return api.client()

    monkeypatch.setattr(known, "Client", client)

    def ask(*line: str) -> list[str]:
        result = faultline("__complete", *line)
        assert result.exit_code == 0
        assert result.stderr == ""
        return [found.partition("\t")[0] for found in result.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (["tr"], "train"),
        (["runs", "wat"], "watch"),
        (["runs", "list", "--st"], "--state"),
        (["runs", "list", "--state", "qua"], "quarantined"),
        (["runs", "list", "--state=qua"], "--state=quarantined"),
        (["runs", "list", "--kind", "model.t"], "model.train"),
        (["train", "m", "-d", "x", "--model", "r"], "rf"),
        (["datasets", "import", ""], ":files"),
        (["completion", "z"], "zsh"),
        (["workers", "dr"], "drain"),
        (["schedules", "create", "n", "--timezone", "Europe/Berl"], "Europe/Berlin"),
        (["schedules", "change", "n", "--overlap", "a"], "allow"),
    ],
)
def test_commands_options_and_choices_are_completed(words: Callable[..., list[str]], line: list[str], first: str):
    assert words(*line)[0] == first


@pytest.mark.parametrize(
    "line",
    [["nope", ""], ["runs", "nope", ""], ["datasets", "generate", ""], ["up", "x", "y", "z"], ["--version", "x", ""],
     ["runs", "list", "--nope", ""], ["version", "extra"]],
)  # fmt: skip
def test_where_nothing_is_known_nothing_is_said(words: Callable[..., list[str]], line: list[str]):
    assert words(*line) == []


def test_names_come_from_the_api(words: Callable[..., list[str]], api: FakeApi):
    run = api.submit("dataset.generate", {"name": "first"})
    assert words("datasets", "show", "") == ["first"]
    assert words("train", "m", "--dataset", "fi") == ["first"]
    assert words("train", "m", "--dataset=fi") == ["--dataset=first"]
    assert words("runs", "show", "") == [str(run.id)[-8:], "last"]
    assert words("schedules", "create", "n", "--like", "la") == ["last"]


def test_schedules_are_known_by_name(real: Faultline, client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "Client", lambda *_, **__: client)
    monkeypatch.setattr(known, "PATIENCE_S", 60.0)
    assert real("schedules", "create", "nightly", "--cron", "0 2 * * *", "--kind", "dataset.generate").exit_code == 0
    assert real("__complete", "schedules", "pause", "ni").stdout.split("\t")[0] == "nightly"


def test_a_name_of_others_cannot_paint_the_terminal(words: Callable[..., list[str]], api: FakeApi):
    api.submit("dataset.generate", {"name": "a\x1b[31m\tb\nc"})
    assert words("datasets", "show", "") == ["a[31mbc"]


def test_a_silent_api_costs_a_third_of_a_second_at_most(monkeypatch: pytest.MonkeyPatch):
    answered = threading.Event()

    def slow(*_: object, **__: object) -> None:
        answered.wait(60)
        raise NotLoggedIn

    monkeypatch.setattr(known, "resolve", slow)
    began = time.monotonic()
    assert known.names("RUN", None, None) == []
    assert time.monotonic() - began < 30
    answered.set()


def test_an_api_that_refuses_says_nothing(words: Callable[..., list[str]], api: FakeApi):
    api.outages = [500] * 9
    assert words("datasets", "show", "") == []


def test_nobody_who_is_not_logged_in_is_told_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FAULTLINE_URL", raising=False)
    assert known.names("DATASET", None, None) == []
    assert known.names("DATASET", "not a url", KEY) == []
    assert known.names("DATASET", URL, "ключ") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "wanted"), [(["ru"], "runs"), (["runs", "can"], "cancel"), (["runs", "list", "--state", "fa"], "failed")]
)
def test_bash_completes(tmp_path: Path, line: list[str], wanted: str):
    program = tmp_path / "faultline"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(faultline completion bash)"\n'
        f"COMP_WORDS=(faultline {' '.join(line)}); COMP_CWORD={len(line)}; _faultline\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split()[0] == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_and_is_silent_about_failures(faultline: Faultline, shell: str):
    result = faultline("completion", shell)
    assert result.exit_code == 0
    assert "__complete" in result.stdout
    assert "2>/dev/null" in result.stdout
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=result.stdout, text=True, check=False).returncode == 0

"""`faultline --help` is instant because it loads almost nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.lazy import load
from services.cli.main import Root
from shared.version import VERSION

HEAVY = (
    "httpx",
    "httpx_sse",
    "pydantic",
    "pydantic_settings",
    "rich",
    "numpy",
    "psutil",
    "shared.contracts",
    "asyncio",
)

PROBE = """
import json, sys
from services.cli.main import app
try:
    app(sys.argv[1:], prog_name="faultline")
except SystemExit:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_none_of_the_heavy_modules(option: str):
    done = subprocess.run([sys.executable, "-c", PROBE, option], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stderr))
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
    assert not [name for name in loaded if name.startswith("services.cli.commands")]
    assert done.stdout


def test_the_version_is_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"faultline {VERSION}\n"


@pytest.mark.parametrize("name", list(Root.table))
def test_every_command_of_the_table_exists_and_explains_itself(name: str, faultline):
    load(Root.table[name].target)
    result = faultline(name, "--help")
    assert result.exit_code == 0, result.output
    assert f"Usage: faultline {name}" in result.stdout
    assert "--json" in result.stdout or "Commands:" in result.stdout or name == "completion"


def test_help_documents_the_exit_codes(faultline):
    result = faultline("--help")
    for words in ("Exit codes", "1    a run failed", "2    wrong usage", "3    the API or the stack is not running"):
        assert words in result.stdout


def test_a_group_without_a_command_shows_its_help(faultline):
    result = faultline("runs")
    assert result.exit_code == 0
    assert "watch" in result.stdout


def test_a_mistyped_command_is_answered_with_the_near_one(faultline):
    result = faultline("trian")
    assert result.exit_code == 2
    assert "Did you mean 'train'?" in result.stderr


def test_help_holds_no_control_signs(faultline):
    assert faultline("--help").stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("words", [["version"], ["version", "--json"]])
def test_an_output_that_cannot_be_written_is_told_in_a_panel(words: list[str]):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_output_is_no_error():
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m services.cli version >&-"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

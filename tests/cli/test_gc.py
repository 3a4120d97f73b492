"""`faultline gc`: on the stack here, on the servers of the environment, or the line to type elsewhere."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from services.cli.commands import gc
from services.cli.commands.gc import ElsewhereError, environment_of
from services.cli.stack.state import StateFolder

Faultline = Callable[..., Result]
REPORT = {"dry_run": True, "classes": {"uploads": {"count": 3, "size_bytes": 4000, "oldest": "2026-01-01T00:00:00Z"}}}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the collector is asked; it answers with `REPORT`."""
    asked: list[Any] = []

    def run(argv: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, json.dumps(REPORT) + "\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gc, "environment_of", lambda *_: {})
    return asked


def test_by_default_nothing_is_removed(faultline: Faultline, collector: list[Any]):
    result = faultline("gc")
    assert result.exit_code == 0, result.output
    assert collector[0][-2:] == ["--dry-run", "--json"]
    assert "uploads" in result.stdout
    assert "4.0 kB" in result.stdout
    assert json.loads(faultline("gc", "--json").stdout) == REPORT


def test_removing_needs_a_yes(faultline: Faultline, collector: list[Any]):
    assert faultline("gc", "--apply").exit_code == 2
    assert collector == []
    assert faultline("gc", "--apply", "--yes").exit_code == 0
    assert "--apply" in collector[0]


def test_where_the_platform_is_elsewhere_the_line_to_type_is_told(tmp_path: Path):
    with pytest.raises(ElsewhereError) as raised:
        environment_of(StateFolder(tmp_path), "--dry-run", {})
    assert "python -m services.api.gc --dry-run" in raised.value.remedy


def test_servers_of_the_environment_are_used_where_no_stack_runs(tmp_path: Path):
    own = {"FAULTLINE_DATABASE_URL": "postgresql://h/d", "FAULTLINE_ARTIFACT_STORE_URL": "s3://b"}
    assert environment_of(StateFolder(tmp_path), "--dry-run", own) == own


def test_a_collector_that_fails_says_why(faultline: Faultline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gc, "environment_of", lambda *_: {})
    failed = subprocess.CompletedProcess([], 1, "", "The database does not answer.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    result = faultline("gc")
    assert result.exit_code == 3
    assert "The database does not answer." in result.stderr

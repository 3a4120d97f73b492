"""The collector as a command and as a part of the reconciler."""

import subprocess
import sys

import pytest

from tests.conftest import MakePlatform
from tests.retention.support import Attic
from tests.support.platform import ROOT, until


def _gc(attic: Attic, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.api.gc", *arguments],
        env={**attic.platform.environment, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _lost_file(attic: Attic) -> None:
    attic.store.put(attic.run_key(attic.ended_run(), "lost.bin"), b"x" * 12_345)
    attic.age()


def test_the_command_shows_first_and_removes_when_told(attic: Attic) -> None:
    _lost_file(attic)
    shown = _gc(attic, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    line = next(line for line in shown.stdout.splitlines() if line.startswith("files without a row"))
    assert line.split()[4:6] == ["1", "12,345"]
    assert "--apply" in shown.stdout
    assert attic.bytes_on_disk() == 12_345
    removed = _gc(attic, "--apply")
    assert removed.returncode == 0, removed.stderr
    assert removed.stdout.endswith("Removed.\n")
    assert attic.bytes_on_disk() == 0


@pytest.mark.parametrize("arguments", [(), ("--dry-run", "--apply")])
def test_it_must_be_said_which(attic: Attic, arguments: tuple[str, ...]) -> None:
    assert _gc(attic, *arguments).returncode == 2


def test_settings_that_contradict_each_other_are_refused(attic: Attic) -> None:
    answer = _gc(attic, "--dry-run", FAULTLINE_KEEP_IDEMPOTENCY_KEYS_DAYS="0.5")
    assert answer.returncode == 1
    assert "at least 1" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_reconciler_collects_by_itself(make_platform: MakePlatform) -> None:
    attic = Attic(make_platform(FAULTLINE_GC_INTERVAL_S="0.5"))
    _lost_file(attic)
    attic.platform.start("reconciler", "services.api.reconciler")
    until(lambda: attic.bytes_on_disk() == 0, 60, "the reconciler does not collect")

"""What stands beside the run fails: the artifact store is full, the result backend is dead or hangs."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import MakePlatform
from tests.support.platform import until
from tests.support.servers import Server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_run_waits_for_room_in_a_full_store(make_platform: MakePlatform, small_disk: Path, kind: str) -> None:
    filler = small_disk / "filler"
    platform = make_platform(FAULTLINE_ARTIFACT_STORE_URL=f"file://{small_disk / 'store'}", FAULTLINE_MAX_CRASHES="100")
    platform.start_core()
    platform.start_worker("w1")
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    run = platform.submit(kind, steps=5)
    until(lambda: platform.run(run)["attempt"] > 1, what="a full store is not noticed")
    assert "store" in platform.rows("SELECT data->>'reason' AS why FROM run_events WHERE attempt = 2")[0]["why"]
    filler.unlink()
    row = platform.finished(run, 90)
    assert row["state"] == "succeeded"
    assert row["envelope"]["result"]["steps"] == 5


@pytest.mark.parametrize("trouble", ["dead", "hanging"])
def test_a_result_backend_in_trouble_fails_no_run(make_platform: MakePlatform, broker: Server, trouble: str) -> None:
    platform = make_platform(CELERY_RESULT_BACKEND=broker.engine.url, FAULTLINE_MIRROR_INTERVAL_S="0.2")
    platform.start_core()
    platform.start_worker("w1")
    if trouble == "dead":
        broker.kill()
    else:
        broker.freeze()
    for number, kind in enumerate(["test.inline", "test.supervised", "test.inline"]):
        row = platform.finished(platform.submit(kind, journal=f"j{number}", steps=6, step_s=0.1), 90)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)
    failed = platform.finished(platform.submit("test.inline", journal="bad", steps=2, fail_at=1), 90)
    assert (failed["state"], failed["attempt"]) == ("failed", 1)

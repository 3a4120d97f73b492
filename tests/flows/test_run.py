"""One run from request to result."""

import pytest

from tests.conftest import MakePlatform


@pytest.mark.parametrize("kind", ["test.inline", "test.supervised"])
def test_a_run_goes_from_queued_to_succeeded(make_platform: MakePlatform, kind: str) -> None:
    platform = make_platform()
    platform.start_core()
    platform.start_worker("w1")
    run = platform.submit(kind, steps=3)
    row = platform.finished(run)
    assert row["state"] == "succeeded", row
    assert platform.states(run) == ["queued", "dispatched", "running", "succeeded"]
    assert row["envelope"]["result"] == {"steps": 3, "began_at": 0}
    assert platform.rows("SELECT name FROM artifacts WHERE run_id = :id AND role = 'artifact'", id=run) == [
        {"name": "count.txt"}
    ]

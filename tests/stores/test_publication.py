"""A body dies between the store and the row: what no row knows is seen by nobody, and its bytes come back."""

import httpx
import pytest

from tests.api.people import bearer
from tests.stores.conftest import MakeStored
from tests.stores.support import collected, orphans, stored, submit_publishing
from tests.support.platform import API_KEY

FILES = ["part-0.bin", "part-1.bin", "part-2.bin"]


@pytest.mark.parametrize(
    ("mode", "dies", "size_bytes"),
    [
        ("inline", "before", 1000),
        ("inline", "after", 1000),
        ("supervised", "before", 1000),
        ("supervised", "before", 9 << 20),  # sent in parts
    ],
)
def test_a_file_that_its_writer_did_not_live_to_name_is_never_seen_and_is_freed(
    make_stored: MakeStored, mode: str, dies: str, size_bytes: int
) -> None:
    platform = make_stored(FAULTLINE_GC_GRACE_S="0.001")
    platform.start_core()
    platform.start_worker("w1")
    url = platform.start_api()
    kind = f"test.publish.{mode}"
    gate = platform.folder / "gate"
    run = submit_publishing(platform, kind, dies=dies, size_bytes=size_bytes, gate=str(gate), gated_from=2)
    platform.wait_for_line("attempt 2", timeout_s=60)

    lost = {key: size for key, size in orphans(platform).items() if f"{run}/1/" in key}
    assert FILES[-1] in {key.rpartition("/")[2] for key in lost}
    shown = httpx.get(f"{url}/v1/runs/{run}/artifacts", headers=bearer(API_KEY)).json()["items"]
    assert FILES[-1] not in {file["name"] for file in shown}
    freed = collected(platform)
    assert (freed.count, freed.size_bytes) == (len(lost), sum(lost.values()))
    assert not lost.keys() & stored(platform).keys()

    gate.touch()
    row = platform.finished(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    files = httpx.get(f"{url}/v1/runs/{run}/artifacts", headers=bearer(API_KEY)).json()["items"]
    latest = {file["name"]: file for file in files if file["attempt"] == 2}
    assert sorted(latest) == FILES
    for number, name in enumerate(FILES):
        content = httpx.get(f"{url}/v1/artifacts/{latest[name]['id']}", headers=bearer(API_KEY)).content
        assert content == bytes([number]) * (size_bytes + number)

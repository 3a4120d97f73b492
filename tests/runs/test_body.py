"""The files of an attempt."""

from pathlib import Path
from uuid import uuid4

import pytest

from shared.artifacts import ArtifactStore, Stored
from shared.errors import Fatal, NotFound
from shared.runs.body import Put, RunArtifacts


@pytest.fixture
def store() -> ArtifactStore:
    return ArtifactStore("memory://")


def artifacts(store: ArtifactStore, folder: Path, checkpoint: Stored | None = None, **inputs: object) -> RunArtifacts:
    recorded: list[Put] = []
    return RunArtifacts(store, "run/2", folder, inputs, recorded.append, checkpoint)


def test_a_checkpoint_is_read_back(store: ArtifactStore, tmp_path: Path) -> None:
    recorded: list[Put] = []
    RunArtifacts(store, "run/1", tmp_path, {}, recorded.append).save_checkpoint(7, b"state")
    found = artifacts(store, tmp_path, recorded[0].stored).checkpoint()
    assert found is not None
    assert found.read_bytes() == b"state"
    assert (recorded[0].role, recorded[0].step) == ("checkpoint", 7)


def test_a_torn_checkpoint_is_never_loaded(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put("run/1/checkpoints/c", b"the whole state")
    store.put("run/1/checkpoints/c", b"the whole st")
    assert artifacts(store, tmp_path, stored).checkpoint() is None


def test_a_checkpoint_that_is_gone_means_to_begin_anew(store: ArtifactStore, tmp_path: Path) -> None:
    assert artifacts(store, tmp_path, Stored("run/1/checkpoints/c", 1, "x")).checkpoint() is None


def test_an_input_opens_the_files_that_were_pinned(store: ArtifactStore, tmp_path: Path) -> None:
    store.put("elsewhere/manifest.json", b"{}")
    ref = uuid4()
    pinned = {"type": "dataset", "name": "d", "result": {}, "files": {"manifest.json": "elsewhere/manifest.json"}}
    found = artifacts(store, tmp_path, None, **{str(ref): pinned}).input(ref)
    assert found.path("manifest.json").read_bytes() == b"{}"
    with pytest.raises(NotFound, match=r"it holds: manifest\.json"):
        found.path("shard-00000.h5")


def test_an_input_that_was_not_pinned_is_our_own_bug(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(Fatal):
        artifacts(store, tmp_path).input(uuid4())

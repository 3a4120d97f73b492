"""Whole runs whose files lie in S3: records in, a dataset, a training that is killed and goes on, results out."""

import hashlib
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import scipy.io

from services.cli.sdk import Client
from shared.contracts.specs import Cnn1dRecipe, ImportSpec, TrainingSpec
from shared.contracts.states import RunState
from tests.conftest import MakePlatform
from tests.stores.support import named, orphans, stored
from tests.support.platform import API_KEY, Platform, until
from tests.support.s3 import S3Server

RATE_HZ, SECONDS = 2000, 3


def _records(folder: Path) -> list[Path]:
    """Two faults on four bearings each, told apart by their pitch."""
    times = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    paths = []
    for number, (fault, pitch_hz) in enumerate([("ok", 50), ("ir", 300)] * 4):
        noise = np.random.default_rng(number).standard_normal(times.size)
        paths.append(folder / f"{fault}-{number}.mat")
        scipy.io.savemat(paths[-1], {"DE_time": np.sin(2 * np.pi * pitch_hz * times) + noise, "RPM": 1800.0})
    return paths


def _import(client: Client, folder: Path) -> UUID:
    spec = ImportSpec(
        name="bearings",
        uploads=[client.upload(path).id for path in _records(folder)],
        label_rule=r"^(?P<fault>[a-z]+)-(?P<bearing>\d)\.",
        unit_labels=["bearing"],
        sample_rate_candidates_hz=[RATE_HZ],
    )
    run = client.wait(client.import_dataset(spec).id)
    assert run.state is RunState.SUCCEEDED, run.envelope
    return client.dataset("bearings").id


def _trainer(platform: Platform, name: str) -> None:
    platform.start_worker(name, "services.training.worker", FAULTLINE_WORKER_POOLS='["training-cpu"]')


@pytest.mark.timeout(240)
def test_a_training_whose_worker_is_killed_goes_on_from_its_checkpoint_in_s3(
    make_platform: MakePlatform, s3: S3Server, tmp_path: Path
) -> None:
    platform = make_platform(**s3.environment(s3.bucket()))
    platform.start_core()
    platform.start_worker("g1", "services.generation.worker", FAULTLINE_WORKER_POOLS='["generation"]')
    _trainer(platform, "t1")
    with Client(platform.start_api(), API_KEY) as client:
        dataset = _import(client, tmp_path)
        recipe = Cnn1dRecipe(epochs=60, patience=60, width=8)
        run = client.train(TrainingSpec(name="net", dataset_id=dataset, recipe=recipe)).id

        def checkpoints() -> int:
            return sum(file.role == "checkpoint" for file in client.artifacts(run))

        until(lambda: checkpoints() >= 3, 90, f"no checkpoint is written:\n{platform.log('t1')}")
        platform.kill("t1")
        assert client.run(run).state not in {RunState.SUCCEEDED, RunState.FAILED}
        _trainer(platform, "t2")
        row = platform.finished(run, 120)
        assert (row["state"], row["attempt"]) == ("succeeded", 2), row["envelope"]
        result = row["envelope"]["result"]
        assert result["resumed_from_step"] >= 3
        epochs = [
            row["step"]
            for row in platform.rows(
                "SELECT step FROM run_metrics WHERE run_id = :id AND name = 'train_loss' ORDER BY step", id=run
            )
        ]
        assert epochs == sorted(set(epochs))

        until(lambda: not checkpoints(), 60, "the checkpoints are not removed")
        files = [*client.artifacts(run), *client.artifacts(client.dataset("bearings").run_id)]
        assert {"manifest.json", "shard-00000.h5"} < {file.name for file in files}
        for file in files:
            content = client.download(file, tmp_path / "out" / file.name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256), file.name
    until(lambda: stored(platform).keys() == named(platform), 60, f"rows and bucket differ: {orphans(platform)}")
    assert not (platform.folder / "artifacts").exists(), "something was written to the disk"

"""The campaign in its short form: everything comes to its right end, whatever was killed."""

import os
import random
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.campaign.run import SHORT, Form, campaign


@pytest.mark.timeout(900)
def test_under_random_faults_every_run_comes_to_its_right_end_once(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    report = campaign(Form(seed=seed, **SHORT), tmp_path, lambda *_: None)  # type: ignore[arg-type]
    report.show(Console(width=120))
    assert report.verdict.right, (f"CHAOS_SEED={seed}", report.verdict.lines())
    assert len(report.lines) >= 4, "the adversary was busy"

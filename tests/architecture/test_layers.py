"""`.importlinter`: the contracts hold on the tree, and break where they should."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.trees import ROOT

BAD = {
    "services/api/bad.py": "import services.training.tasks\nimport torch\nimport celery\n",
    "services/cli/bad.py": "import shared.runs\n",
    "services/training/bad.py": "from celery import Celery\nimport services.cli\n",
    "services/training/worker.py": "import celery\n",
    "shared/db/bad.py": "import shared.queue\nimport numpy\n",
    "shared/signals/bad.py": "import torch\nimport shared.features\n",
    "shared/runs/bad.py": "import kombu\n",
}


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    argv = [sys.executable, "-c", command, "--config", str(ROOT / ".importlinter"), "--no-cache"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": "."})


def test_the_tree_keeps_its_layers() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_contract_breaks_on_a_bad_import(tmp_path: Path) -> None:
    for name in ("shared", "services"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in BAD.items():
        (tmp_path / name).write_text(text)
    done = lint(tmp_path)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    for broken in (
        "services.api is not allowed to import services.training",
        "services.training is not allowed to import services.cli",
        "services.cli is not allowed to import shared.runs",
        "shared.db is not allowed to import shared.queue",
        "shared.signals is not allowed to import shared.features",
        "shared is not allowed to import torch",
        "services.api is not allowed to import torch",
        "shared.db is not allowed to import numpy",
        "services.api.bad -> celery",
        "services.training.bad -> celery",
        "shared.runs.bad -> kombu",
    ):
        assert broken in said, broken
    assert "services.training.worker -> celery" not in said

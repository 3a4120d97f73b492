"""The README says what the code says."""

import re
import subprocess
import sys
from pathlib import Path

from diagram import BEGIN, END, diagram

from shared.contracts.kinds import KINDS
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_state_diagram_is_the_one_that_the_code_draws() -> None:
    drawn = README.partition(BEGIN)[2].partition(END)[0]
    assert drawn == diagram(), "run `.venv/bin/python .ci/diagram.py --write`"


def test_every_process_that_the_readme_names_exists() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", README))
    assert len(modules) >= 5
    for module in modules:
        assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file(), module


def test_every_setting_that_the_readme_names_exists() -> None:
    known = {f"FAULTLINE_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"`(FAULTLINE_\w+)", README)) - {"FAULTLINE_", "FAULTLINE_TEST_DATA"}
    assert named <= known


def test_every_verb_that_the_readme_names_is_in_the_makefile() -> None:
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for verb in set(re.findall(r"^make (\w+) ", README, re.MULTILINE)):
        assert f"make {verb}" in printed, verb


def test_every_kind_has_a_body_in_exactly_one_service() -> None:
    code = (
        "import services.generation.tasks, services.training.tasks, services.hpo.tasks; "
        "from shared.queue.registry import RUN_BODIES as b"
    )
    bodies = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sorted(b))"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert bodies == sorted(name for name in KINDS if not name.startswith("test."))

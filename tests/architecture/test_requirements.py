"""`.ci/requirements.py`: declared == imported, both ways."""

from importlib.metadata import packages_distributions
from pathlib import Path

from requirements import declared, distributions, findings

from tests.architecture.trees import ROOT, write

KNOWN = {"psycopg2": ["psycopg2-binary"], "yaml": ["PyYAML"], "pytest": ["pytest"]}


def test_every_service_declares_what_it_imports() -> None:
    assert findings(ROOT, packages_distributions()) == []


def test_an_import_that_is_not_declared_is_found_also_through_shared(tmp_path: Path) -> None:
    files = {
        "services/api/x.py": "from shared.deep import thing\n",
        "shared/deep/thing.py": "import os, psycopg2\nfrom yaml import load\n",
        "shared/unused.py": "import torch\n",
    }
    assert findings(write(tmp_path, files), KNOWN) == [
        "services/api/requirements.in: add psycopg2-binary (it is imported)",
        "services/api/requirements.in: add pyyaml (it is imported)",
    ]


def test_what_a_package_imports_when_it_is_loaded_counts(tmp_path: Path) -> None:
    tree = write(tmp_path, {"services/api/x.py": "import shared.deep.thing\n", "shared/deep/thing.py": ""})
    (tree / "shared/deep/__init__.py").write_text("import yaml\n")
    assert findings(tree, KNOWN) == ["services/api/requirements.in: add pyyaml (it is imported)"]


def test_a_requirement_that_nothing_imports_needs_a_reason(tmp_path: Path) -> None:
    text = "# comment\npyyaml\nuvicorn[standard]>=0.5  # runtime: run as a command\n\n"
    tree = write(tmp_path, {"services/api/requirements.in": text})
    assert findings(tree, KNOWN) == [
        "services/api/requirements.in: remove pyyaml (nothing imports it), or say why: `pyyaml  # runtime: <reason>`"
    ]
    assert [(line.distribution, line.reason) for line in declared(tree / "services/api/requirements.in")] == [
        ("pyyaml", None),
        ("uvicorn", "run as a command"),
    ]


def test_a_reason_for_something_that_is_imported_is_too_much(tmp_path: Path) -> None:
    files = {"services/api/x.py": "import yaml\n", "services/api/requirements.in": "PyYAML  # runtime: hm\nPyYAML\n"}
    assert findings(write(tmp_path, files), KNOWN) == [
        "services/api/requirements.in: pyyaml is imported; its `# runtime:` reason can go",
        "services/api/requirements.in: pyyaml is there twice",
    ]


def test_tests_declare_only_what_no_service_has(tmp_path: Path) -> None:
    files = {
        "services/api/x.py": "import yaml\n",
        "services/api/requirements.in": "pyyaml\n",
        "tests/test_x.py": "import yaml, pytest\nfrom tests.support import thing\n",
    }
    assert findings(write(tmp_path, files), KNOWN) == ["tests/requirements.in: add pytest (it is imported)"]


def test_an_import_for_types_only_is_not_needed(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import yaml\n"
    assert findings(write(tmp_path, {"services/api/x.py": text}), KNOWN) == []


def test_a_name_that_several_distributions_share_is_told_apart_by_their_files() -> None:
    known = packages_distributions()
    assert distributions({"opentelemetry.trace"}, known) == {"opentelemetry-api"}
    assert distributions({"opentelemetry.sdk.trace"}, known) == {"opentelemetry-sdk"}

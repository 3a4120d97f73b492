"""`.ci/sizes.py`: one bad example per rule, and the tree itself."""

from pathlib import Path

import pytest
from sizes import findings

from tests.architecture.trees import ROOT, write

LONG_FUNCTION = "def f() -> None:\n" + "    pass\n" * 60
MANY_METHODS = "class C:\n" + "".join(f"    def m{n}(self) -> None: ...\n" for n in range(16))
BROAD = "try:\n    pass\nexcept {}:\n    pass\n"


def test_the_tree_keeps_the_rules() -> None:
    assert findings(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("tests/x.py", "a = 1\n" * 401, "tests/x.py:1: the file has 401 lines"),
        ("shared/x.py", "a = 1\n" * 130, "the median file has 130 lines"),
        ("services/api/x.py", LONG_FUNCTION, "services/api/x.py:1: f() has 61 lines"),
        (".ci/x.py", LONG_FUNCTION, ".ci/x.py:1: f() has 61 lines"),
        ("shared/x.py", MANY_METHODS, "class C has 16 methods"),
        ("shared/x.py", BROAD.format("Exception"), "shared/x.py:3: catches every exception"),
        ("services/cli/x.py", BROAD.format("(OSError, BaseException)"), "catches every exception"),
        ("tests/x.py", "try:\n    pass\nexcept:\n    pass\n", "catches every exception"),
        (
            "shared/x.py",
            "def f() -> None:\n    from shared import y\n",
            "shared/x.py:2: imports shared inside a function",
        ),
        ("tests/x.py", "def f() -> None:\n    import services.api.x\n", "imports services.api.x inside a function"),
        ("shared/runs/x.py", "def f(session): session.commit()\n", "shared/runs/x.py:1: commits"),
        ("services/api/x.py", "from celery.result import AsyncResult\nAsyncResult('x')\n", "uses AsyncResult"),
        ("services/api/x.py", "task.apply_async(countdown=3600)\n", "a countdown above 300 s"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, path: str, text: str, words: str) -> None:
    found = findings(write(tmp_path, {path: text}))
    assert any(words in line for line in found), found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shared/queue/task.py", BROAD.format("Exception")),
        ("services/api/main.py", BROAD.format("Exception")),
        ("services/api/x.py", "try:\n    pass\nexcept BaseException:\n    raise\n"),
        ("shared/db/session.py", "def f(session): session.commit()\n"),
        ("tests/x.py", "connection.commit()\n"),
        ("services/api/x.py", "task.apply_async(countdown=30)\n"),
        ("shared/x.py", "def f() -> None:\n    import json\n"),
        ("shared/x.py", "def f() -> None:\n" + "    pass\n" * 59),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path: Path, path: str, text: str) -> None:
    assert findings(write(tmp_path, {path: text})) == []


def test_modules_that_import_one_another_are_found_once(tmp_path: Path) -> None:
    circle = {
        "shared/a.py": "from shared import b\n",
        "shared/b.py": "from shared.c import thing\n",
        "shared/c.py": "import shared.a\n",
        "shared/d.py": "from shared import a\n",
    }
    assert findings(write(tmp_path, circle)) == ["import cycle: shared.a <-> shared.b <-> shared.c"]


def test_an_import_for_types_only_makes_no_cycle(tmp_path: Path) -> None:
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shared import b\n"
    assert findings(write(tmp_path, {"shared/a.py": types, "shared/b.py": "from shared import a\n"})) == []

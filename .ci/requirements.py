"""Declared == imported: each service's `requirements.in` names exactly the distributions that its code loads.

    python .ci/requirements.py     prints what is missing or too much; exit code 1 if anything is

A service loads its own modules and those of `shared` that they import. Something that is needed though no import
shows it carries a reason: `python-multipart  # runtime: FastAPI reads forms with it`. `tests/requirements.in` adds what
only tests and checks need.
"""

import re
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from importlib.metadata import files, packages_distributions
from pathlib import Path

from tree import Module, imports, is_own, modules, reachable

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?[^#]*(#\s*runtime:\s*(?P<reason>\S.*))?")
#: import name -> distributions, as `importlib.metadata` tells it
Known = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Declared:
    """One line of a `requirements.in`."""

    distribution: str
    reason: str | None


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(path: Path) -> list[Declared]:
    """What a `requirements.in` names; nothing if there is none."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    matches = [_LINE.match(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    return [Declared(normal(match["name"]), match["reason"]) for match in matches if match]


def distributions(names: set[str], known: Known) -> set[str]:
    """The distributions that provide these imports; what nothing provides stands for itself."""
    return {normal(_provider(name, known)) for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def _provider(dotted: str, known: Known) -> str:
    """Several distributions may share one name (`opentelemetry`): then the one that has the file."""
    top = dotted.partition(".")[0]
    candidates = known.get(top) or [top]
    parts = dotted.split(".")
    for length in range(len(parts), 1, -1):
        path = "/".join(parts[:length])
        for candidate in candidates if len(candidates) > 1 else ():
            if any(str(file).startswith((f"{path}/", f"{path}.py")) for file in files(candidate) or ()):
                return candidate
    return candidates[0]


def imported(names: set[str], everything: dict[str, Module]) -> set[str]:
    """What these modules import of other people's."""
    found = set()
    for name in names:
        for item in imports(everything[name], everything):
            if not item.for_types and not is_own(item.target) and item.target not in everything:
                found.add(item.target)
    return found


def compare(path: str, lines: list[Declared], needed: set[str], elsewhere: Set[str] = frozenset()) -> list[str]:
    """What is wrong with one `requirements.in`."""
    names = [line.distribution for line in lines]
    missing = sorted(needed - set(names) - elsewhere)
    unused = sorted(line.distribution for line in lines if line.distribution not in needed and not line.reason)
    needless = sorted(line.distribution for line in lines if line.distribution in needed and line.reason)
    twice = sorted({name for name in names if names.count(name) > 1})
    return [
        *(f"{path}: add {name} (it is imported)" for name in missing),
        *(f"{path}: remove {name} (nothing imports it), or say why: `{name}  # runtime: <reason>`" for name in unused),
        *(f"{path}: {name} is imported; its `# runtime:` reason can go" for name in needless),
        *(f"{path}: {name} is there twice" for name in twice),
    ]


def findings(root: Path, known: Known) -> list[str]:
    """Everything that differs."""
    product = modules(root, "shared", "services")
    found: list[str] = []
    everywhere: set[str] = set()
    for folder in sorted(path for path in (root / "services").iterdir() if (path / "__init__.py").exists()):
        path = f"services/{folder.name}/requirements.in"
        lines = declared(root / path)
        everywhere |= {line.distribution for line in lines}
        loaded = reachable({name for name in product if name.startswith(f"services.{folder.name}")}, product)
        found += compare(path, lines, distributions(imported(loaded, product), known))
    tests = modules(root, "tests", ".ci")
    local = {"tests", *(path.stem for path in (root / ".ci").glob("*.py"))}
    names = {name for name in imported(set(tests), {**product, **tests}) if name.partition(".")[0] not in local}
    path = "tests/requirements.in"
    return found + compare(path, declared(root / path), distributions(names, known), everywhere)


def main() -> int:
    """Print and tell."""
    found = findings(Path.cwd(), packages_distributions())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

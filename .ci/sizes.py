"""House rules on the source: sizes, error handling, imports, and what may not be used at all.

    python .ci/sizes.py            prints what breaks a rule; exit code 1 if anything does

The limits are there to notice a room that grew too big, never a reason to split one idea in two.
"""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from statistics import median

from tree import Module, cycles, imports, is_own, modules

LONGEST_FILE, MEDIAN_FILE, LONGEST_FUNCTION, MOST_METHODS, LONGEST_COUNTDOWN_S = 400, 120, 60, 15, 300
#: the process boundaries: nothing may escape from here
BROAD_EXCEPT_ALLOWED = (
    "shared/queue/*.py",
    "services/*/main.py",
    "services/*/worker.py",
    "services/api/loops.py",
    "services/api/dispatcher.py",
    "services/api/reconciler.py",
)
COMMIT_ALLOWED = ("shared/db/session.py",)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def findings(root: Path) -> list[str]:
    """Everything that breaks a rule, as `path:line: words`."""
    product = modules(root, "shared", "services")
    everything = {**product, **modules(root, "tests", ".ci")}
    found = []
    for module in everything.values():
        path = module.path.relative_to(root).as_posix()
        checks = [*_sizes(module), *_broad_excepts(module, path), *_own_imports_in_functions(module, everything)]
        if module.name in product:
            checks += [*_commits(module, path), *_banned(module)]
        found += [f"{path}:{line}: {words}" for line, words in checks]
    found += [f"import cycle: {' <-> '.join(group)}" for group in cycles(product)]
    lengths = [_length(module) for module in product.values() if module.text.strip()]
    if lengths and median(lengths) > MEDIAN_FILE:
        found.append(f"the median file has {median(lengths):.0f} lines, more than {MEDIAN_FILE}")
    return found


def _length(module: Module) -> int:
    return len(module.text.splitlines())


def _sizes(module: Module) -> Iterator[tuple[int, str]]:
    if _length(module) > LONGEST_FILE:
        yield 1, f"the file has {_length(module)} lines, more than {LONGEST_FILE}"
    for node in module.nodes:
        if isinstance(node, _FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield node.lineno, f"{node.name}() has {lines} lines, more than {LONGEST_FUNCTION}"
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(member, _FUNCTIONS) for member in node.body)
            if methods > MOST_METHODS and not node.name.startswith("Test"):
                yield node.lineno, f"class {node.name} has {methods} methods, more than {MOST_METHODS}"


def _broad_excepts(module: Module, path: str) -> Iterator[tuple[int, str]]:
    if any(fnmatch(path, allowed) for allowed in BROAD_EXCEPT_ALLOWED):
        return
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            yield node.lineno, "catches every exception; name the ones that are meant"


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(item) for item in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"})


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _own_imports_in_functions(module: Module, known: dict[str, Module]) -> Iterator[tuple[int, str]]:
    for item in imports(module, known):
        if item.in_function and is_own(item.target):
            yield item.line, f"imports {item.target} inside a function"


def _commits(module: Module, path: str) -> Iterator[tuple[int, str]]:
    if path in COMMIT_ALLOWED:
        return
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield node.lineno, f"commits; only {', '.join(COMMIT_ALLOWED)} does"


def _banned(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name == "AsyncResult":
            yield getattr(node, "lineno", 1), "uses AsyncResult: the database row is the truth, not the result backend"
        if isinstance(node, ast.keyword) and node.arg == "countdown" and _number(node.value) > LONGEST_COUNTDOWN_S:
            words = f"a countdown above {LONGEST_COUNTDOWN_S} s outlives the broker's patience; keep the time in a row"
            yield node.lineno, words


def _number(node: ast.expr) -> float:
    value = node.value if isinstance(node, ast.Constant) else 0
    return float(value) if isinstance(value, int | float) else 0.0


def main() -> int:
    """Print and tell."""
    found = findings(Path.cwd())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

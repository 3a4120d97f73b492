"""What our own modules import, read from their source. Used by the other checkers of this folder."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OWN = ("shared", "services")


@dataclass(frozen=True)
class Import:
    """One import of one module."""

    target: str  #: a module's full name where it is ours; else the dotted name of what is taken from somebody else's
    line: int
    in_function: bool
    for_types: bool  #: under `if TYPE_CHECKING`


@dataclass(frozen=True)
class Module:
    """One source file of ours."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, str(self.path))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of it."""
        return list(ast.walk(self.tree))


def modules(root: Path, *folders: str) -> dict[str, Module]:
    """All modules below these folders, by dotted name."""
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path)
    return found


def imports(module: Module, known: dict[str, Module]) -> Iterator[Import]:
    """Every import statement of a module, also those inside functions."""
    yield from _imports(module, module.tree, known, in_function=False, for_types=False)


def _imports(
    module: Module, node: ast.AST, known: dict[str, Module], *, in_function: bool, for_types: bool
) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for target in _targets(module, node, known):
            yield Import(target, node.lineno, in_function, for_types)
        return
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for statement in node.body:
            yield from _imports(module, statement, known, in_function=inside, for_types=True)
        for statement in node.orelse:
            yield from _imports(module, statement, known, in_function=inside, for_types=for_types)
        return
    for child in ast.iter_child_nodes(node):
        yield from _imports(module, child, known, in_function=inside, for_types=for_types)


def _targets(module: Module, node: ast.Import | ast.ImportFrom, known: dict[str, Module]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        package = module.name.split(".") if module.path.name == "__init__.py" else module.name.split(".")[:-1]
        package = package[: len(package) - node.level + 1]
        base = ".".join([*package, *([base] if base else [])])
    names = [f"{base}.{alias.name}" for alias in node.names]
    return [base if is_own(base) and name not in known else name for name in names]


def is_own(name: str) -> bool:
    """Whether an imported name is one of ours."""
    return name.partition(".")[0] in OWN


def reachable(start: set[str], known: dict[str, Module]) -> set[str]:
    """These modules and all of ours that are loaded with them; a package's own file is loaded with its modules."""
    seen: set[str] = set()
    todo = sorted(start & known.keys())
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        targets = [item.target for item in imports(known[name], known) if not item.for_types]
        parents = [name.rpartition(".")[0], *(target.rpartition(".")[0] for target in targets)]
        todo += [target for target in (*targets, *parents) if target in known and target not in seen]
    return seen


def cycles(known: dict[str, Module]) -> list[list[str]]:
    """Groups of modules that import one another, each sorted."""
    graph = {
        name: {item.target for item in imports(module, known) if item.target in known and not item.for_types} - {name}
        for name, module in known.items()
    }
    reach = {name: _closure(name, graph) for name in graph}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in graph}
    return sorted(list(group) for group in groups if len(group) > 1)


def _closure(name: str, graph: dict[str, set[str]]) -> set[str]:
    """All that can be reached from a module in one step or more; itself only through a cycle."""
    seen: set[str] = set()
    todo = list(graph[name])
    while todo:
        other = todo.pop()
        if other not in seen:
            seen.add(other)
            todo += graph[other]
    return seen

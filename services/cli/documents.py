"""Files that people write: YAML or JSON, read by the rules of YAML 1.2.

Only `true`, `false`, `null` and numbers as JSON has them are more than text. Anchors are refused: a small file could
stand for a very large one.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import yaml

from services.cli.arguments import WrongArguments
from shared.contracts.written import SCALARS, TAG

_MOST_BYTES = 1 << 20


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML has it
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        None: yaml.SafeLoader.yaml_constructors[None],
        **{
            f"{TAG}{name}": yaml.SafeLoader.yaml_constructors[f"{TAG}{name}"]
            for name in ("null", "bool", "int", "float", "str", "seq", "map")
        },
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not read here", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a field needs a name", problem_mark=key.start_mark)
            if key.value in found:
                words = f"the field {key.value!r} is there twice"
                raise yaml.MarkedYAMLError(problem=words, problem_mark=key.start_mark)
            found[key.value] = self.construct_object(value, deep=deep)
        return found


for _name, (_looks, _begins) in SCALARS.items():
    _Loader.add_implicit_resolver(f"{TAG}{_name}", _looks, _begins)


def read_document(file: Path, what: str, remedy: str) -> dict[str, Any]:
    """What a file says; `-` reads stdin. Raises `WrongArguments` that names the line; `what` it should hold, `remedy`:
    where its form is shown."""
    try:
        raw = sys.stdin.buffer.read(_MOST_BYTES + 1) if str(file) == "-" else _bytes(file)
        text = raw[: _MOST_BYTES + 1].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArguments(
            f"{str(file)!r} cannot be read ({error}).", remedy="Name a file of YAML or JSON."
        ) from error
    if len(raw) > _MOST_BYTES:
        raise WrongArguments(f"{str(file)!r} is larger than {_MOST_BYTES >> 20} MiB.", remedy="Write a smaller one.")
    document = parse_yaml(text, str(file), remedy)
    if not isinstance(document, dict):
        raise WrongArguments(f"{str(file)!r} holds no {what}.", remedy=remedy)
    return document


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES + 1)


def parse_yaml(text: str, name: str, remedy: str = "Correct the file; JSON is read as well.") -> Any:
    """The one document in a text. Raises `WrongArguments`."""
    with suppress(ValueError, RecursionError):
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number
        )  # which may be indented by tabs, as no YAML may
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a loader that makes nothing but plain values
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        words = error.problem or "it is no YAML"
    except (yaml.YAMLError, ValueError) as error:
        place, words = "", " ".join(str(error).split())[:200]
    except RecursionError:
        place, words = "", "it is nested too deeply"
    raise WrongArguments(f"{name!r}{place}: {words}.", remedy=remedy)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field is there twice")  # YAML says which, and where
    return fields


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")

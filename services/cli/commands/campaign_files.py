"""Files of campaigns: what `faultline campaigns create` reads, an example of it, and `--set` on top."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from services.cli.arguments import WrongArguments, build
from shared.contracts.campaigns import CampaignRequest

MOST_BYTES = 1 << 20
_FORM = "Correct it; `faultline campaigns example` shows the form."
#: beside the fields of the spec
BESIDE = ("pool", "priority", "labels")

EXAMPLE = """\
# A campaign: a search over the fields of one spec, by many runs.
#   faultline campaigns create search.yaml --set base.dataset_id=bearings --watch

name: rate-and-width
kind: model.train              # what each trial is: a run of this kind

# The spec of a trial, without its name and without what is searched.
base:
  dataset_id: bearings         # name or id of a dataset
  recipe:
    type: cnn1d
    epochs: 14
  split:
    by: unit

# What is searched: the place of a field in the spec, and its range.
space:
  recipe.learning_rate: {type: float, low: 1e-4, high: 1e-2, log: true}
  recipe.width: {type: int, low: 8, high: 32, step: 8}
  recipe.dropout: {type: float, low: 0.0, high: 0.6}
  recipe.augment: {type: categorical, choices: [true, false]}
  # only where another parameter has one of these values:
  # recipe.weight_decay: {type: float, low: 1e-5, high: 1e-1, log: true, when: {recipe.augment: [false]}}

# What is sought, in the result of a trial. Validation selects; the test side is scored once, for the winner.
objectives:
  - {result: validation_accuracy, goal: maximize}

# A model must keep to these, else it is never the best.
constraints:
  - {result: parameters, max: 500000}

sampler: {type: auto}          # auto, tpe, gp, cmaes, qmc, random, grid, nsga2
pruner: {type: asha, min_steps: 3, reduction: 3}   # stops what is not worth going on; none: all run to their end

# Whatever is used up first ends it: trials, wall_s, gpu_hours, cost.
budget:
  trials: 50
  wall_s: 7200
max_parallel: 4                # trials at a time
stop:
  no_improvement_trials: 25
seed: 7

# How its trials are run.
# pool: training-cpu
# priority: 0
# labels: {team: drives}
"""


class _Loader(yaml.SafeLoader):
    """YAML without what surprises: words as in JSON (`1e-4` is a number, `no` and days are text), no key twice, and no
    aliases, by which a small file could say very much."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See PyYAML."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See PyYAML."""
        names = [key.value for key, _value in node.value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"{twice!r} is named twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


_WORDS = {
    "bool": r"^(true|false)$",
    "null": r"^(null|~|)$",
    "int": r"^[-+]?[0-9]+$",
    "float": r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$",
}
_Loader.yaml_implicit_resolvers = {}
for _name, _pattern in _WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), None)


def read_document(file: Path) -> dict[str, Any]:
    """What a file of YAML or JSON says; `-` is stdin. Raises `WrongArguments` with the line."""
    try:
        text = sys.stdin.read(MOST_BYTES + 1) if str(file) == "-" else _text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArguments(
            f"{str(file)!r} cannot be read ({error}).", remedy="Name a file of YAML or JSON."
        ) from error
    if len(text) > MOST_BYTES:
        raise WrongArguments(f"{str(file)!r} is larger than {MOST_BYTES >> 20} MiB.", remedy="Leave something out.")
    try:
        document = json.loads(text) if file.suffix == ".json" else _Loader(text).get_single_data()
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise WrongArguments(f"{str(file)!r}: {_why(error)}.", remedy=_FORM) from error
    if not isinstance(document, dict):
        raise WrongArguments(f"{str(file)!r} holds no campaign.", remedy=_FORM)
    return document


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.read(MOST_BYTES + 1)


def _why(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark is not None else ""
        return f"{line}{error.problem or error.context}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]


def put(document: dict[str, Any], place: str, value: Any) -> None:
    """Set a field by its place; names with dots are found as they are written (`space.recipe.width.high`). None takes
    the field away. Raises `WrongArguments` for a place in what has no fields."""
    here: Any = document
    rest = place
    while True:
        if not isinstance(here, dict):
            raise WrongArguments(f"--set {place}: there is one value, and no field in it.")
        known = [name for name in here if rest == name or rest.startswith(f"{name}.")]
        name = max(known, key=len) if known else rest.partition(".")[0]
        rest = rest[len(name) + 1 :]
        if not rest:
            break
        here = here.setdefault(name, {})
    if value is None:
        here.pop(name, None)
    else:
        here[name] = value


def request_of(document: dict[str, Any]) -> CampaignRequest:
    """The request: fields of the spec, and beside them how its trials are run. Raises `WrongArguments`."""
    spec = {name: value for name, value in document.items() if name not in BESIDE}
    beside = {name: document[name] for name in BESIDE if document.get(name) is not None}
    return build(CampaignRequest, spec=spec, **beside)

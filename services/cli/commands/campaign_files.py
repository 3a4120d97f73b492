"""Files of campaigns: an example of what `faultline campaigns create` reads, and `--set` on top."""

from typing import Any

from services.cli.arguments import WrongArguments, build
from shared.contracts.campaigns import CampaignRequest

#: remedy for a file that is none
FORM = "Correct it; `faultline campaigns example` shows the form."
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

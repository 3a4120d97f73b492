"""Ties kinds to bodies by name, `module:function`, so that a worker need not import what only its trainers run.

run_task("model.train", "services.training.training:train_model", mode="supervised")
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from shared.contracts.base import View
from shared.contracts.kinds import kind_named

Mode = Literal["inline", "supervised"]
#: body(spec, reporter, artifacts) -> result
RunFunction = Callable[[Any, Any, Any], View]
#: step(args, runtime) -> None; short, idempotent
StepFunction = Callable[[dict[str, Any], Any], None]
StepFunctionT = TypeVar("StepFunctionT", bound=StepFunction)


@dataclass(frozen=True)
class RunBody:
    """The science of one kind and how it is run."""

    kind: str
    target: str
    mode: Mode

    @property
    def module(self) -> str:
        """Where it is defined."""
        return self.target.partition(":")[0]


RUN_BODIES: dict[str, RunBody] = {}
STEP_BODIES: dict[str, StepFunction] = {}


def run_task(kind: str, target: str, *, mode: Mode) -> None:
    """Say which function is the body of a kind. `supervised`: in a fresh process, for what may hang, leak or crash."""
    RUN_BODIES[kind_named(kind).name] = RunBody(kind, target, mode)


def resolve(target: str) -> RunFunction:
    """The function behind `module:function`."""
    module, _, name = target.partition(":")
    function: RunFunction = getattr(importlib.import_module(module), name)
    return function


def step_task(name: str) -> Callable[[StepFunctionT], StepFunctionT]:
    """Mark the body of a step."""

    def register(function: StepFunctionT) -> StepFunctionT:
        STEP_BODIES[name] = function
        return function

    return register


#: What a service does beside its tasks, as (engine, settings) -> once(); only eager mode asks.
FOLLOWERS: list[Callable[[Any, Any], Callable[[], None]]] = []

"""Bodies whose result is a known function of their spec: trials of a campaign."""

import math
import time
from typing import Any, Literal

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import Spec
from shared.errors import UserError
from shared.runs.body import Reporter, RunArtifacts, RunStopped
from tests.support.bodies import note


class Layer(Spec):
    """One item of a searched list."""

    width: int = Field(8, ge=1, le=64)
    kernel: int = 3


class SeekSpec(Spec):
    """Evaluate `function` at a point, in `steps` reports."""

    journal: str = ""
    function: Literal["sphere", "branin", "rosenbrock", "nan", "fail"] = "sphere"
    x: float = Field(0.0, ge=-100, le=100)
    y: float = Field(0.0, ge=-100, le=100)
    z: list[float] = Field(default_factory=list)
    kind: Literal["a", "b"] = "a"
    extra: float = 0.0
    layers: list[Layer] = Field(default_factory=list)
    steps: int = Field(0, ge=0)
    step_s: float = Field(0.0, ge=0)
    sleep_s: float = Field(0.0, ge=0)
    cost: float = 0.0


class Sought(View):
    """The value, and what it cost."""

    value: float | None
    other: float
    cost: float


def value_of(spec: SeekSpec) -> float:
    """The function at the point; its minimum is known."""
    x, y = spec.x, spec.y
    if spec.function == "branin":  # minimum 0.397887
        a = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
        return a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    if spec.function == "rosenbrock":  # minimum 0 at (1, 1)
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return x * x + y * y + sum(v * v for v in spec.z) + (0.0 if spec.kind == "a" else 1.0) + spec.extra**2


def seek(spec: SeekSpec, reporter: Reporter, artifacts: RunArtifacts) -> Sought:
    """See `SeekSpec`. A resumed one goes on after its last step."""
    saved = artifacts.checkpoint() if spec.steps else None
    began_at = int(saved.read_text()) if saved else 0
    if spec.journal:
        note(spec.journal, f"start x={spec.x!r} from={began_at}")
    value = value_of(spec)
    for step in range(began_at + 1, spec.steps + 1):
        if reporter.should_stop():
            if spec.journal:
                note(spec.journal, f"stop x={spec.x!r} at={step}")
            raise RunStopped
        time.sleep(spec.step_s)
        artifacts.save_checkpoint(step, str(step).encode())
        reporter.metrics(step, value=value + 1 / step)
        reporter.progress(step / spec.steps)
    time.sleep(spec.sleep_s)
    if spec.function == "fail" and spec.x > 0:
        raise UserError("this point cannot be tried", remedy="Try another one.")
    if spec.journal:
        note(spec.journal, f"end x={spec.x!r}")
    nan = spec.function == "nan" and spec.x > 0
    return Sought(value=None if nan else value, other=-spec.x, cost=spec.cost or abs(spec.x))


def campaign(name: str = "search", **fields: Any) -> dict[str, Any]:
    """A campaign over `test.seek`."""
    return {
        "name": name,
        "kind": "test.seek",
        "base": {},
        "space": {"x": {"type": "float", "low": -5, "high": 5}, "y": {"type": "float", "low": -5, "high": 5}},
        "objectives": [{"result": "value", "goal": "minimize"}],
        "sampler": {"type": "tpe"},
        "budget": {"trials": 12},
        "max_parallel": 2,
    } | fields


for _kind in ("test.seek", "test.seek.supervised"):
    KINDS[_kind] = Kind(_kind, SeekSpec, "test", 300, 310, None, Sought)

"""The kinds of run: what each takes, where it runs by default, how long it may take, what it makes.

A kind is a spec, one line here, and one line that names its body in a service's `tasks.py`.
"""

from dataclasses import dataclass
from typing import Literal

from shared.contracts.base import View
from shared.contracts.campaign_report import REPORT, ReportResult, ReportSpec
from shared.contracts.results import DatasetResult, EvaluationResult, TrainingResult
from shared.contracts.specs import EvaluationSpec, GenerateSpec, ImportSpec, Spec, TrainingSpec
from shared.errors import UserError


@dataclass(frozen=True)
class Kind:
    """One kind of run."""

    name: str
    spec: type[Spec]
    pool: str  #: default pool; a request may name another
    soft_limit_s: float  #: the body is asked to stop here and the run fails
    hard_limit_s: float  #: its process is killed here
    makes: Literal["dataset", "model"] | None = None  #: entity that is created with the run, named `spec.name`
    result: type[View] | None = None  #: what its body returns, where that is known


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("dataset.import", ImportSpec, "generation", 1800, 1860, "dataset", DatasetResult),
        Kind("dataset.generate", GenerateSpec, "generation", 3600, 3660, "dataset", DatasetResult),
        Kind("model.train", TrainingSpec, "training-cpu", 24 * 3600, 24 * 3600 + 300, "model", TrainingResult),
        Kind("model.evaluate", EvaluationSpec, "analysis", 1800, 1860, None, EvaluationResult),
        Kind(REPORT, ReportSpec, "hpo", 600, 660, None, ReportResult),
    )
}


def kind_named(name: str) -> Kind:
    """Look a kind up. Raises `UserError` for an unknown one."""
    if name not in KINDS:
        raise UserError(
            f"There is no kind of run named {name!r}.",
            remedy=f"Use one of: {', '.join(sorted(KINDS))}.",
        )
    return KINDS[name]

"""A campaign: a search over the fields of a spec, by many runs under one parent. What is asked, and what it tells."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from shared.contracts.base import Contract, View
from shared.contracts.results import Interval
from shared.contracts.space import Place, Space, flat
from shared.contracts.specs import Name, Seed, Spec
from shared.contracts.states import RunState
from shared.contracts.views import LabelKey, LabelValue, Progress

#: the kind of a campaign's parent run
CAMPAIGN = "campaign"
#: looks at the trials of one campaign and does what follows
ADVANCE = "campaign.advance"


class TrialState(StrEnum):
    """Where a trial stands."""

    ENQUEUED = "enqueued"  #: a point that a person asked for; what it leaves open is sampled when it starts
    RUNNING = "running"  #: its run waits or works
    PRUNING = "pruning"  #: judged not worth going on; its run is about to stop
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"  #: its run failed for good, or its objective was not a number
    CANCELLED = "cancelled"


#: holds a slot
HOLDING = (TrialState.RUNNING, TrialState.PRUNING)
#: nothing of it changes any more
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED)


class Objective(Contract):
    """What is sought, as a number in the result of a trial. Never a score on the test side: validation selects."""

    result: Place = "validation_accuracy"
    goal: Literal["maximize", "minimize"] = "maximize"
    #: the metric that a trial reports while it runs, by which it is pruned; default: the last word of `result`
    metric: str | None = Field(None, min_length=1, max_length=100)

    @property
    def reported_as(self) -> str:
        """The metric by which trials are judged while they run."""
        return self.metric or self.result.rpartition(".")[2]


class Limit(Contract):
    """What a trial's model must keep to, as a number in its result; what breaks it is never the best."""

    result: Place
    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _some(self) -> "Limit":
        if self.max is None and self.min is None:
            raise ValueError("name max, min or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("min must not be larger than max")
        return self


class Auto(Contract):
    """Chosen by the space and the budget; the campaign shows what was chosen."""

    type: Literal["auto"] = "auto"


class Tpe(Contract):
    """Tree-structured Parzen estimator, multivariate, with a constant liar for trials that run."""

    type: Literal["tpe"] = "tpe"
    #: trials before the model is used; default: 10, at least twice `max_parallel`
    startup_trials: int | None = Field(None, ge=1, le=10_000)


class Gp(Contract):
    """Gaussian process: for few, dear trials."""

    type: Literal["gp"] = "gp"
    startup_trials: int = Field(10, ge=1, le=10_000)


class CmaEs(Contract):
    """Covariance matrix adaptation: for many trials over numbers only."""

    type: Literal["cmaes"] = "cmaes"
    population: int | None = Field(None, ge=4, le=10_000)


class Qmc(Contract):
    """Quasi-random: a scrambled Sobol sequence."""

    type: Literal["qmc"] = "qmc"


class Random(Contract):
    """Uniformly at random."""

    type: Literal["random"] = "random"


class Grid(Contract):
    """Every combination once, in an order drawn by the seed."""

    type: Literal["grid"] = "grid"


class Nsga2(Contract):
    """Non-dominated sorting genetic algorithm, for several objectives."""

    type: Literal["nsga2"] = "nsga2"
    population: int = Field(24, ge=4, le=10_000)


Sampler = Annotated[Auto | Tpe | Gp | CmaEs | Qmc | Random | Grid | Nsga2, Field(discriminator="type")]
Steps = Annotated[int, Field(ge=1, le=1_000_000)]


class NoPruner(Contract):
    """Every trial runs to its end."""

    type: Literal["none"] = "none"


class Asha(Contract):
    """Asynchronous successive halving: at steps `min_steps * reduction**k` only the best 1/`reduction` go on."""

    type: Literal["asha"] = "asha"
    min_steps: Steps = 1
    reduction: int = Field(3, ge=2, le=10)


class Hyperband(Contract):
    """Several brackets of successive halving, from eager to patient."""

    type: Literal["hyperband"] = "hyperband"
    min_steps: Steps = 1
    max_steps: Steps
    reduction: int = Field(3, ge=2, le=10)

    @model_validator(mode="after")
    def _order(self) -> "Hyperband":
        if self.max_steps <= self.min_steps:
            raise ValueError("max_steps must be larger than min_steps")
        return self


class Median(Contract):
    """Stops what is worse than the median of the others at the same step."""

    type: Literal["median"] = "median"
    startup_trials: int = Field(5, ge=0, le=10_000)
    warmup_steps: int = Field(0, ge=0, le=1_000_000)
    interval: Steps = 1


class Percentile(Contract):
    """Stops what is not among the best `percentile` percent at the same step."""

    type: Literal["percentile"] = "percentile"
    percentile: float = Field(25.0, gt=0, lt=100)
    startup_trials: int = Field(5, ge=0, le=10_000)
    warmup_steps: int = Field(0, ge=0, le=1_000_000)
    interval: Steps = 1


class Threshold(Contract):
    """Stops what leaves [lower, upper]."""

    type: Literal["threshold"] = "threshold"
    lower: float | None = None
    upper: float | None = None
    warmup_steps: int = Field(0, ge=0, le=1_000_000)
    interval: Steps = 1

    @model_validator(mode="after")
    def _some(self) -> "Threshold":
        if self.lower is None and self.upper is None:
            raise ValueError("name lower, upper or both")
        return self


class Patient(Contract):
    """Stops what has not improved for `patience` steps, if `inner` (when there is one) agrees."""

    type: Literal["patient"] = "patient"
    patience: int = Field(ge=1, le=1_000_000)
    min_delta: float = Field(0.0, ge=0)
    inner: Annotated[Median | Percentile | Threshold, Field(discriminator="type")] | None = None


Pruner = Annotated[NoPruner | Asha | Hyperband | Median | Percentile | Threshold | Patient, Field(discriminator="type")]


class Budget(Contract):
    """What a campaign may use; whatever is used up first ends it. Pauses do not count."""

    trials: int | None = Field(None, ge=1, le=100_000)
    wall_s: float | None = Field(None, gt=0, le=366 * 86_400)
    #: hours of its trials in the state `running`, in pools of resource class `gpu`
    gpu_hours: float | None = Field(None, gt=0, le=1e7)
    #: of its trials: hours in the state `running` times the pool's `price_per_hour`
    cost: float | None = Field(None, gt=0, le=1e12)


class StopRules(Contract):
    """What ends a campaign before its budget does."""

    target: float | None = None  #: an allowed trial reached it
    no_improvement_trials: int | None = Field(None, ge=1, le=100_000)
    #: an upper bound of what could still be gained fell below this; by a Gaussian process over the trials so far
    regret_bound: float | None = Field(None, gt=0)
    failures_in_row: int = Field(20, ge=1, le=100_000)  #: so many trials failed one after another: it fails


class CampaignSpec(Spec):
    """`campaign`: a search over the fields of one spec. Its trials are ordinary runs of `kind`."""

    name: Name = Field(max_length=50)
    kind: str = Field("model.train", max_length=60)
    base: dict[str, Any]  #: the spec of a trial, without its name and without what is searched
    space: Space
    objectives: list[Objective] = Field(default_factory=lambda: [Objective()], min_length=1, max_length=4)
    constraints: list[Limit] = Field(default_factory=list, max_length=16)
    sampler: Sampler = Auto()
    pruner: Pruner = NoPruner()
    budget: Budget
    max_parallel: int = Field(4, ge=1, le=1000)
    seed: Seed = 7
    stop: StopRules = StopRules()
    retries: int = Field(1, ge=0, le=10)  #: of a trial whose run failed for no fault of its point
    when_spent: Literal["finish", "cancel"] = "finish"  #: what becomes of running trials at the end
    #: earlier campaigns whose trials are carried over, as far as they fit this space
    warm_start: list[UUID] = Field(default_factory=list, max_length=16)
    score_winner: bool = True  #: register the best model under the campaign's name and score it once on the test side

    @model_validator(mode="after")
    def _fits(self) -> "CampaignSpec":
        several = len(self.objectives) > 1
        if len({objective.result for objective in self.objectives}) != len(self.objectives):
            raise ValueError("objectives: each result may be named once")
        if several and self.pruner.type != "none":
            raise ValueError("pruner: with several objectives no trial can be pruned; use {'type': 'none'}")
        if several and self.sampler.type in {"cmaes"}:
            raise ValueError("sampler: cmaes takes one objective; use nsga2, tpe, gp, qmc or random")
        if several and (self.stop.target is not None or self.stop.regret_bound is not None):
            raise ValueError("stop: target and regret_bound take one objective; use no_improvement_trials or a budget")
        if not any(self.budget.model_dump().values()) and self.sampler.type != "grid":
            raise ValueError("budget: name at least one of trials, wall_s, gpu_hours, cost")
        flat(self.space)  # a `UserError` of its own says where and what to do
        return self


class CampaignRequest(Contract):
    """A campaign, and how its trials are run."""

    spec: CampaignSpec
    pool: str | None = Field(None, max_length=60)
    priority: int = Field(0, ge=-100, le=100)
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=30)


class CampaignChange(Contract):
    """What may be changed while a campaign goes on."""

    max_parallel: int | None = Field(None, ge=1, le=1000)
    budget: Budget | None = None  #: fields that are left out stay as they are


class StopRequest(Contract):
    """End a campaign with what it has found."""

    running: Literal["finish", "cancel"] = "finish"


class EnqueueRequest(Contract):
    """A point to be tried next; parameters that are left out are sampled."""

    params: dict[Place, Any] = Field(min_length=1, max_length=200)


class ForkRequest(Contract):
    """A new campaign like this one, with fields of its spec replaced; it knows every trial of this one."""

    name: Name = Field(max_length=50)
    changes: dict[str, Any] = Field(default_factory=dict, max_length=32)


class TrialView(View):
    """One point that was tried."""

    number: int
    state: TrialState
    origin: Literal["sampler", "person", "carried"]
    params: dict[str, Any]
    values: list[float] | None = None  #: by objective; of a pruned trial the last one reported
    reports: dict[int, float] = Field(default_factory=dict)  #: step -> value at the rungs
    allowed: bool | None = None  #: whether it keeps to every limit; None: not known
    run_id: UUID | None = None
    tries: int = 0
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    revision: int = 0  #: of the campaign when this trial changed last


class TrialCounts(View):
    """How the trials of a campaign stand; carried ones are counted by themselves."""

    total: int = 0
    enqueued: int = 0
    running: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    cancelled: int = 0
    carried: int = 0


class Used(View):
    """What a campaign has used of its budget, but for trials that still run."""

    active_s: float = 0.0  #: on its clock when that was set going last, or stopped
    active_since: datetime | None = None  #: it goes since then; None: it stands
    gpu_hours: float = 0.0
    cost: float = 0.0

    def wall_s(self, now: datetime) -> float:
        """Seconds on its clock."""
        since = self.active_since
        return self.active_s + (0.0 if since is None else max((now - since).total_seconds(), 0.0))


class BestTrial(View):
    """The best allowed trial so far."""

    number: int
    values: list[float]
    params: dict[str, Any]
    run_id: UUID | None


class CampaignView(View):
    """One campaign."""

    id: UUID  #: also of its parent run
    name: str
    state: RunState
    paused: bool
    stopping: Literal["finish", "cancel"] | None
    spec: CampaignSpec
    sampler: str  #: the one in use; says what `auto` chose
    pool: str
    max_parallel: int
    budget: Budget
    used: Used = Used()
    counts: TrialCounts
    best: BestTrial | None
    front: list[BestTrial] = Field(default_factory=list)  #: of several objectives
    progress: Progress
    reason: str | None  #: why it ends or has ended
    created_at: datetime
    finished_at: datetime | None
    revision: int


class TestScore(View):
    """The winner on the test side, scored once."""

    __test__ = False

    run_id: UUID
    accuracy: Interval  #: by record
    macro_f1: Interval
    records: int
    badge: str


class CampaignResult(View):
    """What the parent run returns."""

    trials: TrialCounts
    reason: str
    best: BestTrial
    front: list[BestTrial] = Field(default_factory=list)
    spec: dict[str, Any]  #: of the best trial, whole: to be trained again as it is
    model_id: UUID | None = None
    test: TestScore | None = None
    carried_best: list[float] | None = None  #: what the earlier campaigns had reached
    trials_to_carried_best: int | None = None  #: so many of its own trials until it was reached; None: it was not

"""What a campaign looks like, as data to be drawn: points and axes, never pictures. At most `MOST_POINTS` of each;
where there are more, `shown` of `total` are here: evenly spread, always with the first, the last and the best.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.campaigns import TrialState

MOST_POINTS = 2000


class ViewName(StrEnum):
    """What can be looked at."""

    HISTORY = "history"  #: values over trials, and the best so far
    PARALLEL = "parallel"  #: every parameter of every trial beside its value
    SLICE = "slice"  #: value over one parameter
    CONTOUR = "contour"  #: value over two parameters
    PARETO = "pareto"  #: of several objectives: values against each other, and the front
    RUNGS = "rungs"  #: how many trials came how far
    TIMELINE = "timeline"  #: which slot worked on what, and when
    IMPORTANCE = "importance"  #: which parameters matter


class Aim(View):
    """What is sought."""

    result: str
    goal: Literal["maximize", "minimize"]


class Axis(View):
    """One parameter with its range."""

    name: str
    type: Literal["float", "int", "categorical"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] | None = None


class Sampled(View):
    """How much of what there is."""

    shown: int
    total: int


class HistoryPoint(View):
    """One complete trial."""

    number: int
    value: float
    allowed: bool


class BestStep(View):
    """From this trial on this is the best allowed value."""

    number: int
    value: float


class HistoryView(Sampled):
    """Values by number of the trial. The steps are exact: of all trials, not of those that are shown."""

    view: Literal[ViewName.HISTORY] = ViewName.HISTORY
    objective: Aim
    points: list[HistoryPoint]
    best: list[BestStep]
    best_total: int  #: more than are in `best` only where there are more than `MOST_POINTS`


class ParallelLine(HistoryPoint):
    """One complete trial; `params` lacks what was not searched there."""

    params: dict[str, Any]


class ParallelView(Sampled):
    """Parameters beside values."""

    view: Literal[ViewName.PARALLEL] = ViewName.PARALLEL
    objective: Aim
    axes: list[Axis]
    lines: list[ParallelLine]


class SlicePoint(HistoryPoint):
    """One complete trial that has the parameter."""

    x: Any


class SliceView(Sampled):
    """Value over one parameter."""

    view: Literal[ViewName.SLICE] = ViewName.SLICE
    objective: Aim
    x: Axis
    points: list[SlicePoint]


class ContourPoint(SlicePoint):
    """One complete trial that has both parameters."""

    y: Any


class ContourView(Sampled):
    """Value over two parameters. What lies between the points is for whoever draws it."""

    view: Literal[ViewName.CONTOUR] = ViewName.CONTOUR
    objective: Aim
    x: Axis
    y: Axis
    points: list[ContourPoint]


class ParetoPoint(View):
    """One complete trial of a campaign with several objectives."""

    number: int
    values: list[float]
    allowed: bool
    on_front: bool


class ParetoView(Sampled):
    """Values against each other."""

    view: Literal[ViewName.PARETO] = ViewName.PARETO
    objectives: list[Aim]
    points: list[ParetoPoint]


class Rung(View):
    """One step at which trials are judged."""

    step: int
    reached: int
    stopped: int  #: pruned here
    best: float
    median: float


class RungsView(Sampled):
    """How many trials came how far."""

    view: Literal[ViewName.RUNGS] = ViewName.RUNGS
    objective: Aim
    rungs: list[Rung]


class Bar(View):
    """One run of a trial, from its first start to its end; pauses are not cut out."""

    number: int
    state: TrialState
    lane: int
    start_s: float  #: after `since`
    end_s: float | None  #: None: it goes on


class TimelineView(Sampled):
    """Runs of trials in as few lanes as hold them."""

    view: Literal[ViewName.TIMELINE] = ViewName.TIMELINE
    since: datetime | None  #: when the first one started
    lanes: int
    bars: list[Bar]


class Share(View):
    """How much of the variance of the value a parameter explains, in [0, 1]; those of all parameters add up to 1."""

    name: str
    share: float


class ConditionalShare(Share):
    """The same for a parameter that not all trials have: of the variance among those that have it."""

    trials: int  #: complete ones that have it


class ObjectiveImportance(View):
    """For one objective, the largest share first."""

    objective: Aim
    shares: list[Share]  #: of the parameters that all trials have
    conditional: list[ConditionalShare] = Field(
        default_factory=list
    )  #: each among its own trials; they add up to nothing


class ImportanceView(View):
    """Which parameters matter (Hutter et al., ICML 2014), as of some trials ago."""

    view: Literal[ViewName.IMPORTANCE] = ViewName.IMPORTANCE
    objectives: list[ObjectiveImportance] = Field(default_factory=list)
    trials: int = 0  #: it was found from
    ended: int = 0  #: so many trials had ended then
    left_out: list[str] = Field(default_factory=list)  #: parameters that few trials have, so that they are not compared
    note: str | None = None  #: why there is nothing to see


CampaignPicture = Annotated[
    HistoryView | ParallelView | SliceView | ContourView | ParetoView | RungsView | TimelineView | ImportanceView,
    Field(discriminator="view"),
]

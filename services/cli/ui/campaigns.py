"""Campaigns and their trials: as tables, one by one, and what each has used of its budget."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from services.cli.ui.bars import bar
from services.cli.ui.listing import Listing
from services.cli.ui.result import facts, interval
from services.cli.ui.text import ago, duration, number, plural, safe, short_id, state_text
from shared.contracts.campaigns import (
    BestTrial,
    CampaignResult,
    CampaignView,
    TrialCounts,
    TrialState,
    TrialView,
)
from shared.contracts.space import flat
from shared.contracts.states import TERMINAL

_STYLES = {
    TrialState.ENQUEUED: "quiet",
    TrialState.RUNNING: "key",
    TrialState.PRUNING: "wait",
    TrialState.COMPLETE: "good",
    TrialState.PRUNED: "wait",
    TrialState.FAILED: "bad",
    TrialState.CANCELLED: "wait",
}
#: narrower is no number
_CELL = 14
_NAME = 30  #: such names are not folded


@dataclass(frozen=True)
class Share:
    """How much of one budget is used."""

    name: str
    used: float
    limit: float
    words: str

    @property
    def fraction(self) -> float:
        """In [0, 1]."""
        return min(self.used / self.limit, 1.0) if self.limit else 1.0


def shares(campaign: CampaignView, now: datetime) -> Iterator[Share]:
    """What is used of each budget that is set."""
    budget, used = campaign.budget, campaign.used
    if budget.trials is not None:
        done = ended(campaign.counts)
        yield Share("trials", done, budget.trials, f"{done:,} of {plural(budget.trials, 'trial')}")
    if budget.wall_s is not None:
        seconds = min(used.wall_s(now), budget.wall_s)
        yield Share("time", seconds, budget.wall_s, f"{duration(seconds)} of {duration(budget.wall_s)}")
    if budget.gpu_hours is not None:
        words = f"{number(used.gpu_hours)} of {number(budget.gpu_hours)} GPU hours"
        yield Share("gpu", used.gpu_hours, budget.gpu_hours, words)
    if budget.cost is not None:
        yield Share("cost", used.cost, budget.cost, f"cost {number(used.cost)} of {number(budget.cost)}")


def ended(counts: TrialCounts) -> int:
    """Trials that are over, without carried ones."""
    return counts.complete + counts.pruned + counts.failed + counts.cancelled


def standing(campaign: CampaignView) -> Text:
    """`waiting`, `paused`, `stopping`, or how it ended."""
    if campaign.state in TERMINAL:
        return state_text(campaign.state)
    if campaign.paused:
        return Text("paused", style="wait")
    if campaign.stopping or campaign.reason:
        return Text("ending", style="wait")
    return Text("searching", style="key")


def counted(counts: TrialCounts) -> Text:
    """`20 complete  3 pruned  4 running`."""
    parts = Text()
    for name, count in counts.model_dump(exclude={"total"}).items():
        if count:
            parts.append("  " if parts else "").append(f"{count:,} {name}", style=_style(name))
    return parts if parts else Text("no trial yet", style="quiet")


def _style(name: str) -> str:
    return _STYLES[TrialState(name)] if name in set(TrialState) else "quiet"


def campaigns_table(found: Sequence[CampaignView]) -> RenderableType:
    """Campaigns, newest first."""
    columns = ("campaign", "state", "kind", "done", "trials", "best", "sampler", "begun")
    table = Listing(
        *columns, right=("done", "trials", "best"), least=("sampler", "begun", "kind", "done"), enough=_NAME
    )
    for campaign in found:
        limit = campaign.budget.trials
        table.add_row(
            Text(safe(campaign.name), style="name"),
            standing(campaign),
            safe(campaign.spec.kind),
            f"{100 * campaign.progress.fraction:.0f} %",
            f"{ended(campaign.counts):,}" + (f"/{limit:,}" if limit is not None else ""),
            number(campaign.best.values[0]) if campaign.best else "",
            Text(safe(campaign.sampler), style="quiet"),
            Text(ago(campaign.created_at), style="quiet"),
        )
    return table if found else Text("There are no campaigns: `faultline campaigns example` is a start.", style="quiet")


def campaign_view(campaign: CampaignView, now: datetime | None = None) -> RenderableType:
    """One campaign."""
    spec = campaign.spec
    goals = [f"{objective.goal} {safe(objective.result)}" for objective in spec.objectives]
    rows: list[tuple[str, RenderableType]] = [
        ("campaign", Text(safe(campaign.name), style="name")),
        ("id", Text(str(campaign.id), style="key")),
        ("state", standing(campaign).append(f"  {safe(campaign.reason)}" if campaign.reason else "", style="quiet")),
        ("seeks", ", ".join(goals)),
        ("kind", f"{safe(spec.kind)} in {safe(campaign.pool)}, {plural(campaign.max_parallel, 'trial')} at a time"),
        ("sampler", f"{safe(campaign.sampler)}, pruner {safe(spec.pruner.type)}, seed {spec.seed}"),
        ("stand", counted(campaign.counts)),
    ]
    now = now or datetime.now(UTC)
    rows += [(share.name, bar(share.fraction, 20).append(f"  {share.words}")) for share in shares(campaign, now)]
    rows += [("space" if not index else "", line) for index, line in enumerate(_space(campaign))]
    rows.append(("begun", ago(campaign.created_at)))
    if campaign.finished_at:
        rows.append(("ended", ago(campaign.finished_at)))
    parts: list[RenderableType] = [facts(*rows)]
    if campaign.front:
        parts.append(Padding(_front(campaign), (1, 0, 0, 0)))
    elif campaign.best:
        parts.append(Padding(_best(campaign.best, [one.result for one in spec.objectives]), (1, 0, 0, 0)))
    return Group(*parts)


def _space(campaign: CampaignView) -> Iterator[Text]:
    for parameter in flat(campaign.spec.space):
        leaf = parameter.leaf
        if leaf.type == "categorical":
            words = ", ".join(shown(choice) for choice in leaf.choices)
        else:
            words = f"{number(leaf.low)} to {number(leaf.high)}" + (", logarithmic" if leaf.log else "")
        text = Text(f"{safe(parameter.name)}  ").append(safe(words), style="quiet")
        yield text.append(f"  if {safe(', '.join(leaf.when))}", style="quiet") if leaf.when else text


def _best(best: BestTrial, results: Sequence[str]) -> RenderableType:
    values = ", ".join(f"{safe(name)} {number(value)}" for name, value in zip(results, best.values, strict=True))
    params = [(safe(name), shown(value)) for name, value in best.params.items()]
    run = [("run", Text(short_id(best.run_id), style="key"))] if best.run_id else []
    return facts(("best", Text(f"trial {best.number}: {values}", style="name")), *params, *run)


def _front(campaign: CampaignView) -> RenderableType:
    results = [objective.result for objective in campaign.spec.objectives]
    table = Listing("trial", *labels(results).values(), *labels(_names(campaign)).values())
    for trial in campaign.front:
        cells = [number(value) for value in trial.values]
        table.add_row(str(trial.number), *cells, *(shown(trial.params.get(name)) for name in _names(campaign)))
    return Group(Text(f"{plural(len(campaign.front), 'trial')} that no other beats", style="name"), table)


def result_of(result: CampaignResult) -> RenderableType:
    """What a campaign returned."""
    rows: list[tuple[str, RenderableType]] = [("trials", counted(result.trials)), ("ended", safe(result.reason))]
    if result.test is not None:
        rows.append(("test", interval(result.test.accuracy).append(f"  {safe(result.test.badge)}", style="quiet")))
    if result.model_id is not None:
        rows.append(("model", Text(str(result.model_id), style="key")))
    values = ", ".join(number(value) for value in result.best.values)
    rows.append(("best", Text(f"trial {result.best.number}: {values}", style="name")))
    rows += [(safe(name), shown(value)) for name, value in result.best.params.items()]
    return facts(*rows)


def trials_table(trials: Sequence[TrialView], campaign: CampaignView) -> RenderableType:
    """Trials with their parameters; those columns that a narrow terminal has no room for go, the last ones first."""
    params, results = labels(_names(campaign)), labels([one.result for one in campaign.spec.objectives])
    columns = ["", "trial", "state", *results.values(), *params.values(), "run", "error"]
    failed = any(trial.error for trial in trials)
    least = ("run", *reversed(list(params.values())))
    table = Listing(
        *(columns if failed else columns[:-1]), right=("trial", *results.values()), least=least, enough=_NAME
    )
    best = {trial.number for trial in campaign.front} or ({campaign.best.number} if campaign.best else set())
    for trial in trials:
        values: Sequence[float | None] = trial.values or [None] * len(results)
        table.add_row(
            star(trial, best),
            str(trial.number),
            trial_state(trial),
            *(Text("" if value is None else number(value), style=broken(trial)) for value in values),
            *(shown(trial.params.get(name)) for name in params),
            Text(short_id(trial.run_id) if trial.run_id else "", style="key"),
            *([Text(safe(trial.error or ""), style="bad")] if failed else []),
        )
    return table if trials else Text("There are no such trials yet.", style="quiet")


def star(trial: TrialView, best: set[int]) -> Text:
    """Marks the best, also where there is no colour."""
    return Text("★" if trial.number in best else "", style="good")


def trial_state(trial: TrialView) -> Text:
    """In its colour; a trial from an earlier campaign says so."""
    return Text("carried" if trial.origin == "carried" else trial.state.value, style=_STYLES[trial.state])


def broken(trial: TrialView) -> str:
    """The style of a value: faint where the trial breaks a limit and cannot be the best."""
    return "quiet" if trial.allowed is False else ""


def labels(places: Sequence[str]) -> dict[str, str]:
    """Places by the shortest end that no other has: `recipe.width` is `width`."""
    found: dict[str, str] = {}
    for place in places:
        parts = place.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        found[place] = next(
            (end for end in ends if sum(other == end or other.endswith(f".{end}") for other in places) == 1), place
        )
    return {place: safe(label) for place, label in found.items()}


def _names(campaign: CampaignView) -> list[str]:
    return [parameter.name for parameter in flat(campaign.spec.space)]


def shown(value: Any) -> str:
    """A parameter's value in a cell; nothing where it is not searched."""
    if value is None:
        return ""
    words = number(value) if isinstance(value, float) else safe(value) if isinstance(value, str) else json.dumps(value)
    return words if len(words) <= _CELL else f"{words[: _CELL - 1]}…"


def point_words(params: Mapping[str, Any]) -> str:
    """`learning_rate 0.0012  width 24`."""
    named = labels(list(params))
    return "  ".join(f"{named[name]} {shown(value)}" for name, value in params.items())

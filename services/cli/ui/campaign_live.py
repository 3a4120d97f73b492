"""The live picture of a campaign: what it has used, the best so far, and its trials, line by line. It only draws."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.ui.bars import bar
from services.cli.ui.campaigns import broken, counted, labels, point_words, shares, shown, standing, star, trial_state
from services.cli.ui.text import number, safe
from shared.contracts.campaigns import HOLDING, BestTrial, CampaignView, TrialState, TrialView
from shared.contracts.space import flat

WIDEST = 140
_GAP = 2
_STATE, _BAR, _VALUE = 9, 12, 10


@dataclass
class Scene:
    """What is known of a campaign and its trials."""

    campaign: CampaignView
    trials: dict[int, TrialView] = field(default_factory=dict)  #: by number; of many only those that run and the newest
    progress: dict[UUID, float] = field(default_factory=dict)  #: by run; of those that run
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    lost: str = ""  #: why nothing newer is known

    @property
    def best(self) -> set[int]:
        """Numbers of the best trial, or of the front."""
        return {trial.number for trial in self._front}

    @property
    def rows(self) -> list[TrialView]:
        """What can be shown: the trials, and the best as the campaign has them."""
        best = {
            trial.number: TrialView(state=TrialState.COMPLETE, origin="sampler", allowed=True, **trial.model_dump())
            for trial in self._front
        }
        return list((best | self.trials).values())

    @property
    def _front(self) -> list[BestTrial]:
        return self.campaign.front or ([self.campaign.best] if self.campaign.best else [])


def frame(scene: Scene, width: int, height: int | None) -> RenderableType:
    """One frame, at most `height` lines high."""
    width = min(width, WIDEST)
    parts: list[RenderableType] = [_head(scene, width), *_budgets(scene, width), _counts(scene)]
    if (best := _best(scene)) is not None:
        parts.append(best)
    room = None if height is None else max(height - len(parts) - 3, 1)
    rows = chosen(scene, room)
    parts += [Text(), _table(scene, rows, width)]
    hidden = scene.campaign.counts.total + scene.campaign.counts.carried - len(rows)
    if hidden > 0:
        parts.append(Text(f" and {hidden:,} more: `faultline campaigns trials {safe(scene.campaign.name)}`", "quiet"))
    return Group(*parts)


def chosen(scene: Scene, room: int | None) -> list[TrialView]:
    """The trials that are shown, by number: the best and those that run first, then the newest."""

    def rank(trial: TrialView) -> tuple[int, int]:
        first = 0 if trial.number in scene.best else 1 if trial.state in HOLDING else 2
        return first, -trial.number

    kept = sorted(scene.rows, key=rank)
    if room is not None and len(kept) > room:
        kept = kept[: max(room - 1, 1)]  # a line says how many more there are
    return sorted(kept, key=lambda trial: trial.number)


def _head(scene: Scene, width: int) -> Table:
    campaign = scene.campaign
    left = Text(f" {safe(campaign.name)}", style="name").append(f"  {safe(campaign.spec.kind)}", style="quiet")
    right = standing(campaign)
    if scene.lost or campaign.reason:
        right.append(f"  {safe(scene.lost or campaign.reason)}", style="bad" if scene.lost else "quiet")
    line = Table.grid(expand=False)
    line.add_column(width=max(width - min(right.cell_len, width // 2) - 1, 10), no_wrap=True, overflow="ellipsis")
    line.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 2)
    line.add_row(left, right)
    return line


def _budgets(scene: Scene, width: int) -> list[RenderableType]:
    found = list(shares(scene.campaign, scene.at))
    size = max(min(width // 4, 30), 10)
    return [Text(" ").append_text(bar(one.fraction, size)).append(f"  {one.words}") for one in found]


def _counts(scene: Scene) -> Text:
    campaign = scene.campaign
    busy = sum(trial.state in HOLDING for trial in scene.trials.values())
    line = Text(" ").append_text(counted(campaign.counts))
    return line.append(f"    {busy} of {campaign.max_parallel} slots  {safe(campaign.sampler)}", style="quiet")


def _best(scene: Scene) -> Text | None:
    best = scene.campaign.best
    if best is None:
        return None
    names = labels([objective.result for objective in scene.campaign.spec.objectives])
    values = "  ".join(f"{name} {number(value)}" for name, value in zip(names.values(), best.values, strict=True))
    line = Text(" ★ ", style="good", no_wrap=True, overflow="ellipsis").append(values, style="name")
    return line.append(f"  trial {best.number}  {point_words(best.params)}", style="quiet")


def _table(scene: Scene, rows: Sequence[TrialView], width: int) -> RenderableType:
    results = labels([objective.result for objective in scene.campaign.spec.objectives])
    params = labels([parameter.name for parameter in flat(scene.campaign.spec.space)])
    cells = {name: [label, *(shown(row.params.get(name)) for row in rows)] for name, label in params.items()}
    sizes = {name: max(map(len, column)) for name, column in cells.items()}
    values = {name: max(len(label), _VALUE) for name, label in results.items()}
    fixed = sum(size + _GAP for size in (1, 5, _STATE, _BAR, *values.values()))
    fitting: list[str] = []
    for name, size in sizes.items():
        if fixed + sum(sizes[other] + _GAP for other in fitting) + size + _GAP > width:
            break
        fitting.append(name)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_edge=False)
    for label, size, justify in [
        ("", 1, "left"),
        ("trial", 5, "right"),
        ("state", _STATE, "left"),
        *((params[name], sizes[name], "right") for name in fitting),
        ("", _BAR, "left"),
        *((results[name], size, "right") for name, size in values.items()),
    ]:
        table.add_column(label, width=size, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    longest = max((step for trial in scene.trials.values() for step in trial.reports), default=0)
    for trial in rows:
        told = [trial.values[index] if trial.values else None for index in range(len(results))]
        if trial.values is None and trial.reports:
            told[0] = trial.reports[max(trial.reports)]
        table.add_row(
            star(trial, scene.best),
            str(trial.number),
            trial_state(trial),
            *(shown(trial.params.get(name)) for name in fitting),
            bar(_share(scene, trial, longest), _BAR, _BARS.get(trial.state, "key")),
            *(Text("" if value is None else number(value), style=_told(trial)) for value in told),
        )
    return table


_BARS = {TrialState.COMPLETE: "good", TrialState.FAILED: "bad", TrialState.PRUNED: "wait", TrialState.CANCELLED: "wait"}


def _told(trial: TrialView) -> str:
    return broken(trial) if trial.state == TrialState.COMPLETE else "quiet"


def _share(scene: Scene, trial: TrialView, longest: int) -> float:
    """How far a trial came: its run's progress, else its last rung among all."""
    if trial.state == TrialState.COMPLETE:
        return 1.0
    if trial.run_id in scene.progress:
        return scene.progress[trial.run_id]
    return max(trial.reports) / longest if trial.reports else 0.0


def line_of(scene: Scene, trial: TrialView) -> str:
    """One line that says how a trial ended."""
    campaign = scene.campaign
    values = "  ".join(number(value) for value in trial.values or [])
    limit = campaign.budget.trials
    best = "  best so far" if trial.number in scene.best else ""
    of = f" of {limit:,}" if limit is not None else ""
    words = f"{safe(campaign.name)}  trial {trial.number}{of}  {trial.state.value}  {values}{best}"
    why = f"  {safe(trial.error)}" if trial.error else ""
    return f"{words}  {point_words(trial.params)}{why}"

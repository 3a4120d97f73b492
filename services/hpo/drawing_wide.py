"""Pictures of everything side by side: parallel coordinates, importance, rungs, slots."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from services.hpo import drawing
from services.hpo.drawing import BLUE, GOODNESS, INK, MUTED, ORANGE, PALE
from shared.contracts.campaign_views import (
    Axis,
    ConditionalShare,
    ImportanceView,
    ParallelView,
    RungsView,
    Share,
    TimelineView,
)
from shared.contracts.campaigns import TrialState

_MOST_AXES, _MOST_BARS = 9, 15
_STATES = {
    TrialState.COMPLETE: (BLUE, "complete"),
    TrialState.PRUNED: (ORANGE, "pruned"),
    TrialState.FAILED: ("#b23a48", "failed"),
    TrialState.CANCELLED: (MUTED, "cancelled"),
}
_GOING_ON = (PALE, "goes on")


def draw_parallel(view: ParallelView) -> Figure:
    """Each trial as a line through its parameters to its value; dark is good, and lies on top."""
    axes_shown = view.axes[:_MOST_AXES]
    if not view.lines:
        return drawing.nothing("No trial is complete yet.")
    drawn = drawing.figure(3.7)
    axes = drawn.subplots()
    good, norm = drawing.goodness(view.objective, [line.value for line in view.lines])
    order = sorted(range(len(good)), key=lambda index: good[index])
    last = len(axes_shown)
    segments, colors = [], []
    for index in order:
        line = view.lines[index]
        points = [
            (float(i), drawing.share(a, line.params[a.name])) for i, a in enumerate(axes_shown) if a.name in line.params
        ]
        segments.append([*points, (float(last), float(norm(good[index])))])
        colors.append(GOODNESS(norm(good[index])))
    width = 0.9 if len(order) < 300 else 0.6
    axes.add_collection(LineCollection(segments, colors=colors, linewidths=width, alpha=0.75))
    for place, axis in enumerate(axes_shown):
        axes.axvline(place, color=MUTED, linewidth=0.6)
        _ends(axes, place, axis)
    axes.axvline(last, color=INK, linewidth=0.9)
    sign = 1.0 if view.objective.goal == "maximize" else -1.0
    for share, value in ((0.0, norm.vmin or 0.0), (1.0, norm.vmax or 0.0)):
        axes.text(last + 0.04, share, drawing.short(sign * value), va="center", ha="left", fontsize=7.5)
    names = [drawing.short(_named(axis.name), 15) for axis in axes_shown]
    axes.set_xticks(range(last + 1), [*names, drawing.short(view.objective.result.rpartition(".")[2], 20)])
    axes.set_xlim(-0.25, last + 0.45)
    axes.set_ylim(-0.07, 1.07)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(view.axes) > last:
        axes.set_xlabel(f"{last} of {len(view.axes)} parameters", color=MUTED)
    return drawn


def _ends(axes: Axes, place: int, axis: Axis) -> None:
    """The ends of a range, or each of a few choices, beside its line."""
    if axis.choices is None:
        told = [(0.0, drawing.short(float(axis.low or 0.0))), (1.0, drawing.short(float(axis.high or 0.0)))]
    else:
        few = axis.choices if len(axis.choices) <= 8 else [axis.choices[0], axis.choices[-1]]
        told = [(drawing.share(axis, choice), drawing.short(choice, 12)) for choice in few]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 0.8}
    for share, words in told:
        axes.text(place + 0.03, share, words, va="center", ha="left", fontsize=7.5, bbox=box, zorder=4)


def _named(name: str) -> str:
    """The whole name where it is short, else its last word."""
    return name if len(name) <= 15 else drawing.short(name.rpartition(".")[2], 15)


def draw_importance(view: ImportanceView) -> Figure:
    """How much of the variance each parameter explains, for the first objective; below, of the trials that have it."""
    found = view.objectives[0] if view.objectives else None
    if found is None or not (found.shares or found.conditional):
        return drawing.nothing(view.note or "It is not known yet which parameters matter.")
    shares: list[Share] = [*found.shares[:_MOST_BARS], *found.conditional[:_MOST_BARS]]
    drawn = drawing.figure(0.7 + 0.26 * len(shares))
    axes = drawn.subplots()
    for place, share in enumerate(shares):
        within = f" of {share.trials:,} trials" if isinstance(share, ConditionalShare) else ""
        axes.barh(place, share.share, 0.62, color=PALE if within else BLUE)
        axes.text(share.share + 0.008, place, f"{share.share:.0%}{within}", va="center", fontsize=8)
    axes.set_yticks(range(len(shares)), [drawing.short(share.name, 40) for share in shares])
    axes.invert_yaxis()
    longest = 1.4 if found.conditional else 1.12  # room for what stands behind a bar
    axes.set_xlim(0, max(0.2, longest * max(share.share for share in shares)))
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel(f"share of the variance of {drawing.short(found.objective.result, 40)}")
    return drawn


def draw_rungs(view: RungsView) -> Figure:
    """How many trials came to each rung, and how many were stopped there."""
    if not view.rungs:
        return drawing.nothing("No trial has come to a rung.")
    rungs = view.rungs if len(view.rungs) <= 24 else [view.rungs[i * (len(view.rungs) - 1) // 23] for i in range(24)]
    drawn = drawing.figure(2.6)
    axes = drawn.subplots()
    steps = [str(rung.step) for rung in rungs]
    on = [rung.reached - rung.stopped for rung in rungs]
    axes.bar(steps, on, 0.66, color=BLUE, label="went on")
    axes.bar(steps, [rung.stopped for rung in rungs], 0.66, bottom=on, color=ORANGE, alpha=0.85, label="pruned here")
    for place, rung in enumerate(rungs if len(rungs) <= 12 else []):
        axes.text(place, rung.reached, f"{rung.reached}", ha="center", va="bottom", fontsize=8)
    axes.margins(y=0.14)
    axes.set_xlabel("step")
    axes.set_ylabel("trials")
    axes.grid(visible=False, axis="x")
    drawn.legend(loc="outside upper right", ncols=2)
    return drawn


def draw_timeline(view: TimelineView) -> Figure:
    """Which slot worked on what, and when."""
    if not view.bars:
        return drawing.nothing("No trial has started.")
    drawn = drawing.figure(min(5.0, 1.1 + 0.16 * view.lanes))
    axes = drawn.subplots()
    now_s = max(bar.end_s if bar.end_s is not None else bar.start_s for bar in view.bars)
    unit_s, unit = next(
        (s, name)
        for s, name in ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
        if now_s >= 2 * s or s == 1
    )
    seen: dict[str, str] = {}
    edge = 0.4 if len(view.bars) < 200 else 0.0
    for bar in view.bars:
        color, words = _STATES.get(bar.state, _GOING_ON)
        seen[words] = color
        end_s = max(now_s if bar.end_s is None else bar.end_s, bar.start_s + now_s / 1000)
        span = [(bar.start_s / unit_s, (end_s - bar.start_s) / unit_s)]
        axes.broken_barh(span, (bar.lane + 0.1, 0.8), facecolors=color, edgecolors="white", linewidth=edge)
    axes.set_ylim(view.lanes, 0)
    axes.set_yticks([])
    axes.set_ylabel(f"{view.lanes} slot{'s' if view.lanes > 1 else ''}")
    axes.set_xlabel(f"{unit} since the first trial started")
    axes.grid(visible=False, axis="y")
    drawn.legend(
        handles=[Patch(color=color, label=words) for words, color in seen.items()], loc="outside upper right", ncols=5
    )
    return drawn

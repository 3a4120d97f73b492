"""Pictures of points: history, slices, contour, front."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from services.hpo import drawing
from services.hpo.drawing import BLUE, GOODNESS, INK, MUTED, ORANGE, PALE
from shared.contracts.campaign_views import ContourView, HistoryView, ParetoView, SliceView

_DOT = 13
#: A surface needs so many points to mean anything.
_FEWEST = 12


def draw_history(view: HistoryView) -> Figure:
    """Values over trials, and the steps of the best so far."""
    if not view.points:
        return drawing.nothing("No trial is complete yet.")
    drawn = drawing.figure()
    axes = drawn.subplots()
    _dots(axes, [(point.number, point.value, point.allowed) for point in view.points])
    if view.best:
        end = max(view.points[-1].number, view.best[-1].number)
        numbers = [*(step.number for step in view.best), end]
        values = [*(step.value for step in view.best), view.best[-1].value]
        axes.step(numbers, values, where="post", color=ORANGE, linewidth=1.6, zorder=3)
        axes.plot([view.best[-1].number], [view.best[-1].value], "o", color=ORANGE, markersize=6, zorder=4)
    outside = drawing.value_axis(axes, view.objective, [point.value for point in view.points])
    axes.set_xlabel("trial" + (f"   ({outside} poor values lie outside)" if outside else ""))
    marks = [_mark(PALE, "a trial"), Line2D([], [], color=ORANGE, linewidth=1.6, label="best so far")]
    if not all(point.allowed for point in view.points):
        marks.insert(1, _mark("none", "breaks a limit", edge=MUTED))
    drawn.legend(handles=marks, loc="outside upper right", ncols=3)
    return drawn


def _mark(color: str, words: str, edge: str = "none") -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", markersize=4, color=color, markeredgecolor=edge, label=words)


def _dots(axes: Axes, points: Sequence[tuple[float, float, bool]]) -> None:
    """(x, y, allowed): full, or hollow where a limit is broken."""
    for allowed, face, edge in ((True, PALE, "none"), (False, "none", MUTED)):
        chosen = [(x, y) for x, y, is_allowed in points if is_allowed is allowed]
        if chosen:
            xs, ys = zip(*chosen, strict=True)
            axes.scatter(xs, ys, s=_DOT, facecolors=face, edgecolors=edge, linewidths=0.7, zorder=2)


def draw_slices(views: Sequence[SliceView]) -> Figure:
    """Value over each parameter, side by side; the later a trial the darker it is."""
    if not any(view.points for view in views):
        return drawing.nothing("No trial is complete yet.")
    columns = min(3, len(views))
    rows = -(-len(views) // columns)
    drawn = drawing.figure(2.3 * rows + 0.2)
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in grid[len(views) :]:
        axes.set_axis_off()
    values = [point.value for view in views for point in view.points]
    for place, (view, axes) in enumerate(zip(views, grid, strict=False)):
        xs = [drawing.at(view.x, point.x) for point in view.points]
        if view.x.choices is not None:  # side by side where many share a choice
            xs = [x + (point.number * 0.618 % 1 - 0.5) * 0.5 for x, point in zip(xs, view.points, strict=True)]
        numbers = [point.number for point in view.points]
        axes.scatter(xs, [point.value for point in view.points], s=9, c=numbers, cmap=GOODNESS, linewidths=0)
        drawing.parameter_axis(axes, view.x, most_ticks=4)
        drawing.value_axis(axes, view.objective, values)
        if place % columns:
            axes.set_ylabel("")
    return drawn


def draw_contour(view: ContourView) -> Figure:
    """The value over two parameters: the trials, and what lies between them where there are enough."""
    if not view.points:
        return drawing.nothing("No trial is complete yet.")
    drawn = drawing.figure(4.0)
    axes = drawn.subplots()
    good, norm = drawing.goodness(view.objective, [point.value for point in view.points])
    xs = np.array([drawing.at(view.x, point.x) for point in view.points])
    ys = np.array([drawing.at(view.y, point.y) for point in view.points])
    if view.x.choices is None and view.y.choices is None and _spans(view, xs, ys):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            axes.tricontourf(
                xs, ys, np.clip(good, norm.vmin, norm.vmax), levels=9, cmap=GOODNESS, norm=norm, alpha=0.85
            )
    axes.scatter(xs, ys, s=12, c=good, cmap=GOODNESS, norm=norm, edgecolors="white", linewidths=0.5, zorder=3)
    drawing.parameter_axis(axes, view.x)
    drawing.parameter_axis(axes, view.y, vertical=True)
    best = int(np.argmax(np.where([point.allowed for point in view.points], good, -np.inf)))
    axes.plot(
        xs[best], ys[best], "o", markersize=8, markerfacecolor="none", markeredgecolor=ORANGE, markeredgewidth=1.8
    )
    _scale(drawn, axes, norm, view.objective.goal, drawing.short(view.objective.result, 40))
    return drawn


def _spans(view: ContourView, xs: Any, ys: Any) -> bool:
    """Whether the points span a plane, so that triangles can be laid between them."""
    distinct = {(float(x), float(y)) for x, y in zip(xs, ys, strict=True)}
    places = np.array([[drawing.share(view.x, x), drawing.share(view.y, y)] for x, y in distinct])
    return len(places) >= _FEWEST and bool(np.linalg.matrix_rank(places - places[0], tol=1e-3) == 2)


def _scale(drawn: Figure, axes: Axes, norm: Any, goal: str, words: str) -> None:
    """The bar of colours, labelled by the values themselves: dark is good."""
    from_good = {"maximize": 1.0, "minimize": -1.0}[goal]
    bar = drawn.colorbar(
        ScalarMappable(norm, GOODNESS),
        ax=axes,
        fraction=0.04,
        pad=0.02,
        format=lambda good, _pos: f"{from_good * good:.3g}",
    )
    bar.outline.set_visible(False)
    bar.set_label(words, color=INK)


def draw_pareto(view: ParetoView) -> Figure:
    """The first two objectives against each other, and the front."""
    if not view.points:
        return drawing.nothing("No trial is complete yet.")
    drawn = drawing.figure(3.8)
    axes = drawn.subplots()
    first, second = view.objectives[:2]
    _dots(axes, [(point.values[0], point.values[1], point.allowed) for point in view.points if not point.on_front])
    front = sorted((point.values[0], point.values[1]) for point in view.points if point.on_front)
    if front:
        xs, ys = zip(*front, strict=True)
        if len(view.objectives) == 2:  # of more the front is no line here
            axes.plot(xs, ys, ":", color=BLUE, linewidth=1.2, zorder=3)
        axes.scatter(xs, ys, s=22, color=BLUE, zorder=4)
    drawing.value_axis(axes, first, [point.values[0] for point in view.points], vertical=False)
    drawing.value_axis(axes, second, [point.values[1] for point in view.points])
    arrows = {"maximize": "more is better", "minimize": "less is better"}
    axes.set_xlabel(f"{drawing.short(first.result, 40)}   ({arrows[first.goal]})")
    axes.set_ylabel(f"{drawing.short(second.result, 40)}   ({arrows[second.goal]})")
    drawn.legend(handles=[_mark(PALE, "a trial"), _mark(BLUE, "on the front")], loc="outside upper right", ncols=2)
    return drawn

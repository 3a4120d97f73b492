"""How pictures of a campaign look: one calm style, and what all of them share. Figures only, no global state of pyplot.

Text from users is shortened, drawn as it is (no formulas), and escaped by whoever writes the file.
"""

import io
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import orjson
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from shared.contracts.campaign_views import Aim, Axis

INK, MUTED, FAINT, PAPER = "#22303a", "#7b8a95", "#dfe6ea", "#ffffff"
BLUE, PALE, ORANGE = "#2b6a8c", "#a9c4d3", "#d9772b"
#: from poor to good
GOODNESS = LinearSegmentedColormap.from_list("goodness", ["#e3ecf0", "#93bccd", "#2b6a8c", "#0d2f43"])
_WIDTH_IN = 7.6
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufffe\uffff]")
_DPI = 144


def figure(height_in: float = 3.2) -> Figure:
    """An empty figure of the page's width."""
    return Figure(figsize=(_WIDTH_IN, height_in), facecolor=PAPER, layout="constrained")


def styled() -> Any:
    """The context in which figures are made and saved."""
    return mpl.rc_context(_STYLE)


def svg(drawn: Figure, name: str) -> bytes:
    """The figure as SVG: the same bytes each time; `name` keeps its ids apart from those of others on one page."""
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": name}):
        warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks is the viewer's to draw
        target = io.BytesIO()
        drawn.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


def png(drawn: Figure) -> bytes:
    """The figure as PNG."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        target = io.BytesIO()
        drawn.savefig(target, format="png", dpi=_DPI, metadata={"Software": None})
    return target.getvalue()


def short(value: Any, length: int = 26) -> str:
    """A value or a name as a label: plain signs only, cut in the middle."""
    if isinstance(value, float):
        words = f"{value:.4g}"
    else:
        words = value if isinstance(value, str) else orjson.dumps(value).decode()
    words = _UNSEEN.sub("·", words)
    if len(words) <= length:
        return words
    head = (length - 1) // 2
    return f"{words[:head]}…{words[-(length - 1 - head) :]}"


def goodness(aim: Aim, values: Sequence[float]) -> tuple[list[float], Normalize]:
    """Values so that more is better, and their range without the poorest tenth, which would squeeze the rest."""
    good = [value if aim.goal == "maximize" else -value for value in values]
    low, high = spread(good)
    return good, Normalize(low, high if high > low else low + 1.0, clip=True)


def spread(good: Sequence[float]) -> tuple[float, float]:
    """From the poorest but for a tenth to the best."""
    ordered = sorted(good) or [0.0]
    return ordered[len(ordered) // 10], ordered[-1]


def value_axis(axes: Axes, aim: Aim, values: Sequence[float], *, vertical: bool = True) -> int:
    """Show the range of the values on an axis; where a few poor ones would squeeze all others they are left outside.
    Returns how many are."""
    (axes.set_ylabel if vertical else axes.set_xlabel)(short(aim.result, 40))
    if not values:
        return 0
    sign = 1.0 if aim.goal == "maximize" else -1.0
    good = [sign * value for value in values]
    low, best = spread(good)
    if min(good) >= best - 4 * (best - low):
        return 0
    low = best - 2.5 * (best - low)
    margin = 0.05 * (best - low)
    ends = sorted([sign * (low - margin), sign * (best + margin)])
    (axes.set_ylim if vertical else axes.set_xlim)(ends[0], ends[1])
    return sum(value < low for value in good)


def at(axis: Axis, value: Any) -> float:
    """Where a value lies on its axis: a choice at its number."""
    if axis.choices is None:
        return float(value)
    return float(next(place for place, choice in enumerate(axis.choices) if _same(choice, value)))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def share(axis: Axis, value: Any) -> float:
    """Where a value lies between the ends of its axis, in [0, 1]."""
    place = at(axis, value)
    if axis.choices is not None:
        return place / (len(axis.choices) - 1) if len(axis.choices) > 1 else 0.5
    low, high = float(axis.low or 0.0), float(axis.high or 0.0)
    if axis.log:
        place, low, high = math.log(place), math.log(low), math.log(high)
    return (place - low) / (high - low) if high > low else 0.5


def parameter_axis(axes: Axes, axis: Axis, *, vertical: bool = False, most_ticks: int = 12) -> None:
    """Scale, ends and ticks of a parameter."""
    of = axes.yaxis if vertical else axes.xaxis
    (axes.set_ylabel if vertical else axes.set_xlabel)(short(axis.name, 34))
    limits = axes.set_ylim if vertical else axes.set_xlim
    if axis.choices is None:
        if axis.log:
            (axes.set_yscale if vertical else axes.set_xscale)("log")
        low, high = float(axis.low or 0.0), float(axis.high or 0.0)
        pad = (high / low) ** 0.03 if axis.log else 0.03 * (high - low)
        limits(*((low / pad, high * pad) if axis.log else (low - pad, high + pad)))
        return
    step = -(-len(axis.choices) // most_ticks)
    places = range(0, len(axis.choices), step)
    of.set_ticks(list(places), [short(axis.choices[place], 14) for place in places])
    limits(-0.5, len(axis.choices) - 0.5)


def nothing(words: str) -> Figure:
    """A picture that says why there is none."""
    drawn = figure(1.0)
    drawn.text(0.5, 0.5, words, ha="center", va="center", color=MUTED)
    return drawn

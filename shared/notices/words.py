"""Values of notices as people read them. What users wrote becomes one short line that no reader obeys."""

import math
import unicodedata
from datetime import datetime
from zoneinfo import ZoneInfo

#: control characters, halves of surrogate pairs, and those that turn or hide what stands beside them
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_LINE_BREAKS = frozenset({"Zl", "Zp"})


def line(value: object, most: int) -> str:
    """`value` as one line of at most `most` signs."""
    text = str(value)[: 8 * most]
    seen = "".join(_sign(sign) for sign in text)
    words = " ".join(seen.split())
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def _sign(sign: str) -> str:
    category = unicodedata.category(sign)
    if sign.isspace() or category in _LINE_BREAKS:
        return " "
    return "" if category in _UNSEEN else sign


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 7 s`, `2 h 3 min`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 99.5:
        return f"{max(seconds, 0):.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def percent(share: float) -> str:
    """`50 %`, `95.7 %`."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def number(value: float) -> str:
    """In as few digits as tell it."""
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def plural(count: int, one: str) -> str:
    """`1 notice`, `2 notices`."""
    return f"{count:,} {one if count == 1 else one + 's'}"


def moment(at: datetime, zone: str = "UTC") -> str:
    """`24 Nov 2026, 09:30 CET`."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y, %H:%M %Z}"

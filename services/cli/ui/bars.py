"""Bars in text: how much of something is taken, in eighths of a sign, readable without colour."""

from rich.text import Text

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int, style: str = "key") -> Text:
    """`share` in [0, 1] of `width` signs, the rest as a faint line."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    whole, part = divmod(eighths, 8)
    filled = "█" * whole + (_EIGHTHS[part] if part else "")
    return Text(filled, style=style).append("·" * (width - len(filled)), style="quiet")

"""Failures of one family have one signature: what differs from run to run is left out of it."""

import hashlib
import re
import traceback
from pathlib import Path

from shared.contracts.envelope import ErrorInfo

_ROOT = Path(__file__).resolve().parents[2]
#: In this order: what one leaves, the next sees.
_VARIABLE = [
    (re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"|`[^`]*`"), "<text>"),
    (re.compile(r"\S*/\S*"), "<path>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b(?:0[xX][0-9a-fA-F]+|(?=[a-fA-F]*\d)[0-9a-fA-F]{8,})\b"), "<id>"),
    (re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"), "<number>"),
    (re.compile(r"\s+"), " "),
]


def normalised(message: str) -> str:
    """`message` without quoted values, paths, ids and numbers."""
    for pattern, word in _VARIABLE:
        message = pattern.sub(word, message)
    return message.strip()


def signature(kind: str, error: ErrorInfo) -> str:
    """16 hex digits, equal for failures of one kind, cause, type, place and wording."""
    parts = [kind, error.cause or "", error.type, normalised(error.message), error.where or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def deepest_own_frame(error: BaseException) -> str | None:
    """`package.module:function` of the innermost frame that is our own code; no line, which changes too easily."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and "site-packages" not in path.parts:
            return f"{'.'.join(path.relative_to(_ROOT).with_suffix('').parts)}:{frame.name}"
    return None

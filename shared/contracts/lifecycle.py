"""What is asked of runs that exist already."""

from typing import Any

from pydantic import Field

from shared.contracts.base import Contract
from shared.contracts.views import LabelKey, LabelValue


class RetryRequest(Contract):
    """How to retry; may be left out."""

    everything: bool = False  #: of a batch: also the runs that succeeded


class CloneRequest(Contract):
    """The same run once more, edited: what is left out stays as it was.

    `spec` (of a batch: of each of its runs) is merged into the old one as RFC 7396 says: objects are merged, null
    removes a field and so brings its default back. An object whose `type` changes is replaced whole.
    """

    spec: dict[str, Any] = Field(default_factory=dict)
    pool: str | None = Field(None, max_length=60)
    priority: int | None = Field(None, ge=-100, le=100)
    labels: dict[LabelKey, LabelValue] | None = Field(None, max_length=32)


def merged(old: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    """`old` with the changes of `edit`, as `CloneRequest` describes it."""
    if "type" in edit and edit["type"] != old.get("type"):
        old = {}
    result = dict(old)
    for name, value in edit.items():
        before = old.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result

"""What a notice says: a sentence, advice, facts, a list. By kind, without any form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.notifier.message import Severity
from shared.contracts.notices import NOTICES
from shared.contracts.states import RunState
from shared.errors import Fatal
from shared.notices.titles import quota_words, title_of
from shared.notices.words import duration, line, moment, number, percent, plural

_MOST_VALUE, _MOST_LEAD, _MOST_LABEL, _MOST_ITEMS = 300, 1000, 60, 20

_Data = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One of a list."""

    title: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """What a notice says."""

    title: str
    severity: Severity
    lead: str
    advice: str = ""
    rows: Sequence[tuple[str, str]] = ()
    items: Sequence[Item] = field(default_factory=list)
    more: int = 0  #: items that are left out


def facts_of(kind: str, data: _Data, at: datetime, zone: str = "UTC") -> Facts:
    """What a notice of this kind says; times as a clock in `zone` shows them.

    Raises `Fatal` for a kind or data that are none of ours.
    """
    known = NOTICES.get(kind)
    if known is None:
        raise Fatal(f"There is no notice of kind {kind[:60]!r}.")
    try:
        payload = known.payload.model_validate(data).model_dump()
    except ValueError as error:  # pydantic's words hold the values
        raise Fatal(f"The data of a {kind} notice are not as its kind has them.") from error
    payload["at"] = at
    items, more = _items(kind, payload, zone)
    return Facts(
        title_of(kind, payload),
        _severity(kind, payload),
        _lead(kind, payload),
        line(payload.get("remedy") or "", _MOST_LEAD),
        _rows(payload, zone),
        items,
        more,
    )


def _severity(kind: str, data: _Data) -> Severity:
    if kind in {"run.failed", "run.quarantined", "campaign.failed"}:
        return "failure"
    if NOTICES[kind].urgent or kind in {"run.preempted", "import.rejects", "quota.near"}:
        return "warning"
    well = {"run.succeeded", "dataset.ready", "accuracy.milestone", "campaign.best"}
    if kind in well or (kind == "campaign.finished" and data["state"] == RunState.SUCCEEDED):
        return "success"
    return "info"


def _lead(kind: str, data: _Data) -> str:
    if reason := data.get("reason"):
        return line(reason, _MOST_LEAD)
    if kind == "system.maintenance":
        return line(data["message"], 2 * _MOST_LEAD)
    if kind == "test":
        return "This channel works: notices that you subscribe to will come here."
    if kind == "digest":
        return f"{plural(data['count'], 'notice')} came since the last digest."
    return NOTICES[kind].about.replace(" of yours", "").replace(" (`progress_at`)", "").replace(" (`accuracy_at`)", "")


def _items(kind: str, data: _Data, zone: str) -> tuple[list[Item], int]:
    """The list of a notice that has one, and how many are left out of it."""
    if kind == "digest":
        shown = [_noticed(one, zone) for one in data["notices"][:_MOST_ITEMS]]
        return shown, max(data["count"] - len(shown), 0)
    if kind == "import.rejects":
        shown = [_reject(one) for one in data["first"][:_MOST_ITEMS]]
        return shown, max(data["rejected"] - len(shown), 0)
    leaks = data.get("leaks") or []
    return [Item(line(leak, _MOST_VALUE)) for leak in leaks[:_MOST_ITEMS]], max(len(leaks) - _MOST_ITEMS, 0)


def _reject(one: _Data) -> Item:
    words = (one.get("reason"), one.get("remedy"))
    return Item(line(one.get("file", "a file"), _MOST_VALUE), line(" – ".join(str(w) for w in words if w), _MOST_VALUE))


def _noticed(one: _Data, zone: str) -> Item:
    """One notice within a digest."""
    kind, data = str(one.get("type", "")), one.get("data")
    inner = data if isinstance(data, dict) else {}
    words = [_when(one.get("timestamp"), zone), line(inner.get("reason") or "", _MOST_VALUE)]
    return Item(title_of(kind, inner), " – ".join(word for word in words if word))


def _when(value: object, zone: str) -> str:
    if isinstance(value, datetime):
        return moment(value, zone)
    try:
        return moment(datetime.fromisoformat(str(value)), zone)
    except ValueError:
        return ""


def _text(value: Any) -> str:
    return line(value, _MOST_VALUE)


def _numbers(values: Any) -> str:
    return _text(", ".join(number(value) for value in values))


def _value(value: Any) -> str:
    return number(value) if isinstance(value, float) else line(value, _MOST_LABEL)


def _pairs(values: _Data) -> str:
    shown = list(values.items())[:_MOST_ITEMS]
    return line(", ".join(f"{line(k, _MOST_LABEL)} = {_value(v)}" for k, v in shown), 2 * _MOST_VALUE)


def _counts(values: _Data) -> str:
    return line(", ".join(f"{line(k, _MOST_LABEL)} {_value(v)}" for k, v in values.items()), 2 * _MOST_VALUE)


#: field of a payload -> what people call it, and how they read it; in the order in which they are shown
_ROWS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "project": ("Project", _text),
    "campaign": ("Search", _text),
    "kind": ("Kind", _text),
    "name": ("Name", _text),
    "trial": ("Trial", _text),
    "trial_state": ("Trial is", _text),
    "state": ("State", _text),
    "attempt": ("Attempt", _text),
    "fraction": ("Done", percent),
    "stage": ("Stage", _text),
    "eta_seconds": ("Left, about", duration),
    "accuracy": ("Validation accuracy", percent),
    "step": ("Step", _text),
    "records": ("Records", _value),
    "seconds": ("Signals", duration),
    "faults": ("Faults", _counts),
    "rejected": ("Files left out", _value),
    "trials": ("Trials ended", _value),
    "scores": ("Score", _numbers),
    "best": ("Best so far", _numbers),
    "params": ("Parameters", _pairs),
    "duration_seconds": ("Duration", duration),
    "quota": ("Quota", quota_words),
    "used": ("Used", number),
    "limit": ("Limit", number),
    "share": ("Share", percent),
    "channel": ("Channel", _text),
    "failures": ("Failed in a row", _value),
    "last_error": ("Last answer", _text),
    "asked_by": ("Asked by", _text),
    "counts": ("Kinds", _counts),
    "labels": ("Labels", _pairs),
    "cause": ("Cause", _text),
    "error_id": ("Error id", _text),
    "run_id": ("Run", _text),
    "trial_run_id": ("Run of the trial", _text),
    "parent_id": ("Part of", _text),
}
_MOMENTS = {"begins_at": "Begins", "ends_at": "Ends", "at": "When"}


def _rows(data: _Data, zone: str) -> list[tuple[str, str]]:
    rows = [(words, read(data[name])) for name, (words, read) in _ROWS.items() if data.get(name) not in (None, "", {})]
    return rows + [(words, _when(data[name], zone)) for name, words in _MOMENTS.items() if data.get(name) is not None]

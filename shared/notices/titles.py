"""What a notice is called: one line, for an inbox, a subject, the head of a chat message."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.contracts.batches import BATCH
from shared.contracts.campaigns import CAMPAIGN
from shared.notices.words import line, percent, plural

MOST_TITLE = 150
_MOST_NAME = 60
_RUN_WORDS = {
    "model.train": "Training",
    "model.evaluate": "Evaluation",
    "dataset.import": "Import",
    "dataset.generate": "Generation",
    BATCH: "Batch",
    CAMPAIGN: "Search",
}
_QUOTAS = {"gpu_hours_per_day": "GPU hours of the day", "max_queued": "places in the queue"}
#: signs of an id: the last ones differ also where ids count time
_SHORT_ID = 8

#: states that something else brought about
_PASSIVE = frozenset({"cancelled", "quarantined"})

Data = Mapping[str, Any]


def title_of(kind: str, data: Data) -> str:
    """The title of a notice of this kind. What is not known of it is left out; a kind that is not known is named."""
    make = _TITLES.get(kind)
    return line(make(data) if make else f"Notice: {kind}", MOST_TITLE)


def run_words(data: Data) -> str:
    """`Training bearing-cnn`; by the end of its id where the run makes nothing with a name."""
    kind = data.get("kind")
    word = _RUN_WORDS.get(str(kind)) or f"Run {line(kind or '', _MOST_NAME)}".strip()
    name = data.get("name") or str(data.get("run_id", ""))[-_SHORT_ID:]
    return f"{word} {line(name, _MOST_NAME)}".strip()


def quota_words(name: object) -> str:
    """A quota as people call it."""
    return _QUOTAS.get(str(name)) or line(name, _MOST_NAME)


def _run(words: str) -> Callable[[Data], str]:
    return lambda data: f"{run_words(data)} {words}"


def _search(data: Data) -> str:
    return f"Search {line(data.get('campaign', ''), _MOST_NAME)}".strip()


def _name(data: Data, field: str) -> str:
    return line(data.get(field, ""), _MOST_NAME)


def _share(data: Data, field: str) -> str:
    value = data.get(field)
    return percent(value) if isinstance(value, int | float) else "a part"


def _count(data: Data, field: str, one: str) -> str:
    value = data.get(field)
    return plural(value, one) if isinstance(value, int) else f"some {one}s"


def _ended(data: Data) -> str:
    return f"{_search(data)} {'was cancelled' if data.get('state') == 'cancelled' else 'has ended'}"


def _trial(data: Data) -> str:
    state = _name(data, "trial_state") or "ended"
    return f"{_search(data)}: trial {_name(data, 'trial')} {'was' if state in _PASSIVE else 'has'} {state}"


_TITLES: dict[str, Callable[[Data], str]] = {
    "run.queued": _run("is queued"),
    "run.started": _run("has started"),
    "run.progress": lambda data: f"{run_words(data)} has passed {_share(data, 'milestone')}",
    "run.succeeded": _run("has succeeded"),
    "run.failed": _run("has failed"),
    "run.cancelled": _run("was cancelled"),
    "run.preempted": _run("lost its worker and goes on from its checkpoint"),
    "run.paused": _run("was set aside"),
    "run.resumed": _run("is queued again"),
    "run.quarantined": _run("crashed too often; a person must look"),
    "dataset.ready": lambda data: f"Dataset {_name(data, 'name')} is ready",
    "import.rejects": lambda data: f"{run_words(data)} left out {_count(data, 'rejected', 'file')}",
    "accuracy.milestone": lambda data: f"{run_words(data)} has passed {_share(data, 'milestone')} accuracy",
    "leak.found": _run("was scored on what was seen in training"),
    "campaign.started": lambda data: f"{_search(data)} has begun",
    "campaign.trial_finished": _trial,
    "campaign.best": lambda data: f"{_search(data)}: trial {_name(data, 'trial')} is the best so far",
    "campaign.finished": _ended,
    "campaign.failed": lambda data: f"{_search(data)} has failed",
    "quota.near": lambda data: (
        f"Project {_name(data, 'project')} has used {_share(data, 'share')} of its {quota_words(data.get('quota', ''))}"
    ),
    "system.maintenance": lambda data: f"Maintenance: {line(data.get('message', ''), MOST_TITLE)}",
    "channel.disabled": lambda data: f"Channel {_name(data, 'channel')} was switched off",
    "digest": lambda data: f"{_count(data, 'count', 'notice')} of the last {_name(data, 'every') or 'time'}",
    "test": lambda data: f"A test of channel {_name(data, 'channel')}",
}

"""What can be told outside: the kinds of notice, what each carries, and an example of each.

A kind stands here once something makes it. A payload grows by fields with defaults; a change of meaning is a new
version.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from shared.contracts.base import View
from shared.contracts.states import RunState
from shared.errors import UserError


class RunNotice(View):
    """Something happened to a run."""

    run_id: UUID
    kind: str  #: of the run
    project: str
    state: str
    attempt: int
    labels: dict[str, str] = Field(default_factory=dict)
    name: str | None = None  #: of what it makes
    parent_id: UUID | None = None
    reason: str | None = None
    cause: str | None = None  #: of a failure: which kind of trouble
    remedy: str | None = None
    error_id: str | None = None
    duration_seconds: float | None = None


class ProgressNotice(RunNotice):
    """A run has come so far."""

    fraction: float  #: [0, 1]
    stage: str | None = None
    eta_seconds: float | None = None
    milestone: float  #: the one that was passed


class DatasetNotice(RunNotice):
    """A dataset can be used."""

    records: int
    seconds: float
    faults: dict[str, int]


class RejectsNotice(RunNotice):
    """An import has ended and left files out."""

    records: int
    rejected: int
    first: list[dict[str, Any]] = Field(default_factory=list)  #: the first rejects: file, reason, remedy


class AccuracyNotice(RunNotice):
    """The validation accuracy of a training has passed a threshold."""

    accuracy: float
    milestone: float
    step: int | None = None


class LeakNotice(RunNotice):
    """What a score was measured on was seen in training."""

    leaks: list[str]


class CampaignNotice(View):
    """Something happened to a search."""

    run_id: UUID  #: of the campaign
    campaign: str
    project: str
    state: str
    labels: dict[str, str] = Field(default_factory=dict)
    reason: str | None = None
    remedy: str | None = None
    error_id: str | None = None
    trials: int | None = None  #: that have ended
    best: list[float] | None = None  #: by objective


class TrialNotice(CampaignNotice):
    """A trial has ended."""

    trial: int
    trial_run_id: UUID
    trial_state: str
    scores: list[float] | None = None


class BestNotice(CampaignNotice):
    """A trial is better than all before."""

    trial: int
    scores: list[float]
    params: dict[str, Any]


class QuotaNotice(View):
    """A project has used most of what it may."""

    project: str
    quota: str  #: gpu_hours_per_day or max_queued
    used: float
    limit: float
    share: float  #: used / limit


class MaintenanceNotice(View):
    """An operator announces work on the platform."""

    message: str
    begins_at: datetime | None = None
    ends_at: datetime | None = None


class ChannelNotice(View):
    """A channel was switched off, because nothing got through for long."""

    channel_id: UUID
    channel: str
    failures: int
    last_error: str | None = None


class DigestNotice(View):
    """Several notices in one."""

    subscription_id: UUID
    every: str
    count: int
    counts: dict[str, int]  #: by kind
    notices: list[dict[str, Any]]  #: the newest, each as `type`, `timestamp`, `data`


class TestNotice(View):
    """Somebody tries a channel."""

    channel: str
    asked_by: str


@dataclass(frozen=True)
class NoticeKind:
    """One kind of notice."""

    name: str
    about: str
    payload: type[View]
    example: dict[str, Any]
    version: int = 1
    subscribable: bool = True  #: others come by themselves to whom they concern
    urgent: bool = False  #: a person should look


_RUN: dict[str, Any] = {
    "run_id": "0199f3a2-7c51-7e0a-9d3c-2f6f3b1d8a10",
    "kind": "model.train",
    "project": "default",
    "state": "running",
    "attempt": 1,
    "labels": {"line": "press-4"},
    "name": "bearing-cnn",
}
_CAMPAIGN: dict[str, Any] = {
    "run_id": "0199f3a2-8c51-7e0a-9d3c-2f6f3b1d8a11",
    "campaign": "wide-search",
    "project": "default",
    "state": "waiting",
    "trials": 12,
    "best": [0.962],
}
_WRONG: dict[str, Any] = {
    "reason": "The loss is not a number since epoch 3.",
    "cause": "bad_input",
    "remedy": "Lower learning_rate.",
    "error_id": "e-4f1c2a90",
    "duration_seconds": 81.4,
}


def _run(name: str, about: str, state: RunState, **more: Any) -> NoticeKind:
    urgent = state in {RunState.FAILED, RunState.QUARANTINED}
    return NoticeKind(name, about, RunNotice, _RUN | {"state": state.value} | more, urgent=urgent)


NOTICES: dict[str, NoticeKind] = {
    kind.name: kind
    for kind in (
        _run("run.queued", "A run was submitted.", RunState.QUEUED),
        _run("run.started", "A run was taken up by a worker.", RunState.RUNNING),
        NoticeKind(
            "run.progress",
            "A run has come past a share of its work (`progress_at`).",
            ProgressNotice,
            _RUN | {"fraction": 0.52, "stage": "epochs", "eta_seconds": 310.0, "milestone": 0.5},
        ),
        _run("run.succeeded", "A run has ended well.", RunState.SUCCEEDED, duration_seconds=412.7),
        _run("run.failed", "A run has failed.", RunState.FAILED, **_WRONG),
        _run("run.cancelled", "A run was cancelled.", RunState.CANCELLED),
        _run("run.preempted", "A run lost its worker and goes on from its checkpoint.", RunState.PREEMPTED),
        _run("run.paused", "A run was set aside.", RunState.PAUSED),
        _run("run.resumed", "A run that was set aside is queued again.", RunState.QUEUED),
        _run("run.quarantined", "A run crashed too often; a person must look.", RunState.QUARANTINED, **_WRONG),
        NoticeKind(
            "dataset.ready",
            "A dataset can be used.",
            DatasetNotice,
            _RUN
            | {"kind": "dataset.import", "name": "press-4", "state": "succeeded"}
            | {"records": 161, "seconds": 1610.0, "faults": {"healthy": 4, "outer_race": 77, "inner_race": 80}},
        ),
        NoticeKind(
            "import.rejects",
            "An import has ended and left files out.",
            RejectsNotice,
            _RUN
            | {"kind": "dataset.import", "name": "press-4", "state": "succeeded", "records": 160, "rejected": 1}
            | {"first": [{"file": "a.mat", "reason": "no variable DE_time", "remedy": "name the channel"}]},
        ),
        NoticeKind(
            "accuracy.milestone",
            "The validation accuracy of a training has passed a threshold (`accuracy_at`).",
            AccuracyNotice,
            _RUN | {"accuracy": 0.957, "milestone": 0.95, "step": 12},
        ),
        NoticeKind(
            "leak.found",
            "A score was measured on what was seen in training.",
            LeakNotice,
            _RUN | {"kind": "model.evaluate", "state": "succeeded", "leaks": ["3 bearings are on both sides."]},
            urgent=True,
        ),
        NoticeKind("campaign.started", "A search has begun.", CampaignNotice, _CAMPAIGN | {"trials": 0, "best": None}),
        NoticeKind(
            "campaign.trial_finished",
            "A trial of a search has ended.",
            TrialNotice,
            _CAMPAIGN
            | {"trial": 12, "trial_run_id": "0199f3a2-9c51-7e0a-9d3c-2f6f3b1d8a12", "trial_state": "succeeded"}
            | {"scores": [0.941]},
        ),
        NoticeKind(
            "campaign.best",
            "A trial is better than all before.",
            BestNotice,
            _CAMPAIGN | {"trial": 11, "scores": [0.962], "params": {"depth": 4, "learning_rate": 0.0021}},
        ),
        NoticeKind("campaign.finished", "A search has ended.", CampaignNotice, _CAMPAIGN | {"state": "succeeded"}),
        NoticeKind(
            "campaign.failed",
            "A search has failed.",
            CampaignNotice,
            _CAMPAIGN | {"state": "failed", "reason": "10 trials in a row have failed.", "error_id": "e-4f1c2a90"},
            urgent=True,
        ),
        NoticeKind(
            "quota.near",
            "A project has used most of what it may.",
            QuotaNotice,
            {"project": "default", "quota": "gpu_hours_per_day", "used": 41.0, "limit": 48.0, "share": 0.854},
        ),
        NoticeKind(
            "system.maintenance",
            "An operator announces work on the platform.",
            MaintenanceNotice,
            {"message": "The GPU pool is drained tonight.", "begins_at": "2026-11-25T20:00:00Z", "ends_at": None},
        ),
        NoticeKind(
            "channel.disabled",
            "A channel of yours was switched off, because nothing got through for long.",
            ChannelNotice,
            {"channel_id": "0199f3a2-ac51-7e0a-9d3c-2f6f3b1d8a13", "channel": "ops-hook", "failures": 14}
            | {"last_error": "HTTP 500"},
            subscribable=False,
            urgent=True,
        ),
        NoticeKind(
            "digest",
            "Several notices in one.",
            DigestNotice,
            {"subscription_id": "0199f3a2-bc51-7e0a-9d3c-2f6f3b1d8a14", "every": "day", "count": 1}
            | {"counts": {"run.failed": 1}}
            | {"notices": [{"type": "run.failed", "timestamp": "2026-11-24T08:30:00Z", "data": _RUN | _WRONG}]},
            subscribable=False,
        ),
        NoticeKind(
            "test",
            "Somebody tries a channel.",
            TestNotice,
            {"channel": "ops-hook", "asked_by": "anna"},
            subscribable=False,
        ),
    )
}
SUBSCRIBABLE = tuple(name for name, kind in NOTICES.items() if kind.subscribable)
#: Reach the inbox of whoever started the run, unless that person has subscribed to something for it.
BY_DEFAULT = frozenset({"run.failed", "run.quarantined", "campaign.finished", "campaign.failed", "leak.found"})


@dataclass(frozen=True)
class Alias:
    """A name that users of other systems know, and what it is here."""

    kinds: tuple[str, ...]
    run_kinds: tuple[str, ...] = ()


ALIASES: dict[str, Alias] = {
    "training.started": Alias(("run.started",), ("model.train",)),
    "training.complete": Alias(("run.succeeded",), ("model.train",)),
    "training.failed": Alias(("run.failed", "run.quarantined"), ("model.train",)),
    "training.paused": Alias(("run.paused",), ("model.train",)),
    "training.resumed": Alias(("run.resumed",), ("model.train",)),
    "hpo.campaign_started": Alias(("campaign.started",)),
    "hpo.trial_complete": Alias(("campaign.trial_finished",)),
    "hpo.campaign_complete": Alias(("campaign.finished",)),
    "hpo.campaign_failed": Alias(("campaign.failed",)),
}
#: Known by name, and nothing makes them yet.
_LATER = {
    "model.promoted": "No release promotes models yet",
    "model.deployed": "No release promotes models yet",
    "export.ready": "No release exports models yet",
}


def subscribable(name: str) -> str:
    """The name of a kind that one can subscribe to. Raises `UserError` for any other."""
    if name in SUBSCRIBABLE:
        return name
    remedy = f"Use some of: {', '.join(SUBSCRIBABLE)}."
    if name in _LATER:
        raise UserError(f"Nothing tells {name!r}: {_LATER[name].lower()}.", remedy=remedy)
    raise UserError(f"There is no notice named {name[:60]!r}.", remedy=remedy)

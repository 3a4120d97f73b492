"""What an event of a run means to people: no notice, one or several."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from shared.campaigns.trials import measured
from shared.contracts.campaigns import CAMPAIGN, CampaignSpec
from shared.contracts.states import TERMINAL, RunState
from shared.contracts.stored import read_as
from shared.errors import FaultlineError

#: Names notices; any constant would do, as long as it never changes.
_NAMESPACE = UUID("6d1c9be4-5a0c-4f55-9b7e-3b6f4f2a7c10")
_ACCURACY = "validation_accuracy"
_FIRST = 5
#: (state of the event) -> kind
_OF_RUN = {
    RunState.RUNNING: "run.started",
    RunState.SUCCEEDED: "run.succeeded",
    RunState.FAILED: "run.failed",
    RunState.CANCELLED: "run.cancelled",
    RunState.PREEMPTED: "run.preempted",
    RunState.PAUSED: "run.paused",
    RunState.QUARANTINED: "run.quarantined",
}
_OF_CAMPAIGN = {
    RunState.WAITING: "campaign.started",
    RunState.SUCCEEDED: "campaign.finished",
    RunState.CANCELLED: "campaign.finished",
    RunState.FAILED: "campaign.failed",
    RunState.QUARANTINED: "campaign.failed",
}


@dataclass(frozen=True)
class Found:
    """One notice that may be told, and what subscriptions look at."""

    kind: str
    about: str  #: with the kind, what makes it the same notice
    at: datetime
    data: dict[str, Any]
    project_id: UUID | None
    run_id: UUID | None = None
    created_by: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    run_kind: str | None = None
    model_type: str | None = None
    child: bool = False
    reached: float | None = None  #: of a milestone, in [0, 1]
    traceparent: str | None = None
    notice_id: UUID | None = None  #: there is one already

    def id_for(self, milestone: float | None = None) -> UUID:
        """The id of the notice: the same for the same thing."""
        if self.notice_id is not None:
            return self.notice_id
        return uuid5(_NAMESPACE, f"{self.kind} {self.about}" + ("" if milestone is None else f" {milestone!r}"))


def wanted_events(kinds: frozenset[str]) -> tuple[set[str], set[str]]:
    """The states and the other types of events that can become one of these kinds."""
    states = {state.value for state, kind in (*_OF_RUN.items(), *_OF_CAMPAIGN.items()) if kind in kinds}
    if kinds & {"run.queued", "run.resumed"}:
        states.add(RunState.QUEUED)
    if kinds & {"dataset.ready", "import.rejects", "leak.found", "accuracy.milestone"}:
        states.add(RunState.SUCCEEDED)
    if "campaign.trial_finished" in kinds:
        states |= {state.value for state in TERMINAL}
    types = {"run.progress": "progress", "accuracy.milestone": "metrics", "campaign.best": "best"}
    return states, {type_ for kind, type_ in types.items() if kind in kinds}


def recognised(event: Any) -> Iterator[Found]:
    """The notices of one row of `News.read`."""
    match event.type:
        case "state":
            yield from _of_state(event, RunState(event.data["state"]))
        case "progress":
            yield _found(event, "run.progress", _run_data(event, "running") | _progress(event), once=True)
        case "metrics":
            value = event.data.get("latest", {}).get(_ACCURACY)
            if isinstance(value, int | float):
                yield _accuracy(event, value, event.data.get("up_to_step"))
        case "best":
            best = {"trial": event.data["number"], "scores": event.data["values"], "params": event.data["params"]}
            yield _found(event, "campaign.best", _campaign_data(event, "waiting") | best)


def _of_state(event: Any, state: RunState) -> Iterator[Found]:
    if event.kind == CAMPAIGN:
        if state in _OF_CAMPAIGN:
            yield _found(event, _OF_CAMPAIGN[state], _campaign_data(event, state))
        return
    if state == RunState.QUEUED:
        if event.seq == 1:
            yield _found(event, "run.queued", _run_data(event, state))
        elif event.before == RunState.PAUSED:
            yield _found(event, "run.resumed", _run_data(event, state))
    elif state in _OF_RUN:
        yield _found(event, _OF_RUN[state], _run_data(event, state))
    if state in TERMINAL and event.parent_kind == CAMPAIGN:
        yield _found(event, "campaign.trial_finished", _trial_data(event, state))
    if state == RunState.SUCCEEDED:
        yield from _of_result(event, (event.envelope or {}).get("result") or {})


def _of_result(event: Any, result: Mapping[str, Any]) -> Iterator[Found]:
    """What is to be told of what a run has made."""
    data = _run_data(event, RunState.SUCCEEDED)
    if event.kind in {"dataset.import", "dataset.generate"}:
        made = {key: result[key] for key in ("records", "seconds", "faults")}
        yield _found(event, "dataset.ready", data | made)
        if rejects := result.get("rejects"):
            left = {"records": result["records"], "rejected": len(rejects), "first": rejects[:_FIRST]}
            yield _found(event, "import.rejects", data | left)
    if leaks := result.get("leaks"):
        yield _found(event, "leak.found", data | {"leaks": leaks[:_FIRST]})
    if isinstance(value := result.get(_ACCURACY), int | float):
        yield _accuracy(event, value, None)


def _accuracy(event: Any, value: float, step: int | None) -> Found:
    data = _run_data(event, event.data.get("state", "running")) | {"accuracy": value, "step": step}
    return _found(event, "accuracy.milestone", data, once=True, reached=value)


def _found(event: Any, kind: str, data: dict[str, Any], *, once: bool = False, reached: float | None = None) -> Found:
    """`once`: it is the same notice for all events of the run."""
    return Found(
        kind=kind,
        about=str(event.run_id) if once else f"{event.run_id} {event.seq}",
        at=event.at,
        data=data,
        project_id=event.project_id,
        run_id=event.run_id,
        created_by=event.created_by,
        labels=event.labels,
        run_kind=event.kind,
        model_type=event.model_type,
        child=event.parent_id is not None and not kind.startswith("campaign."),
        reached=data["fraction"] if kind == "run.progress" else reached,
        traceparent=event.traceparent,
    )


def _run_data(event: Any, state: str) -> dict[str, Any]:
    error = (event.envelope or {}).get("error") or {}
    ended = event.envelope is not None
    return {
        "run_id": str(event.run_id),
        "kind": event.kind,
        "project": event.project,
        "state": str(state),
        "attempt": event.attempt,
        "labels": event.labels,
        "name": event.name,
        "parent_id": str(event.parent_id) if event.parent_id else None,
        "reason": error.get("message") or event.data.get("reason"),
        "cause": error.get("cause"),
        "remedy": error.get("remedy") or None,
        "error_id": error.get("error_id"),
        "duration_seconds": event.envelope["duration_seconds"] if ended else None,
    }


def _progress(event: Any) -> dict[str, Any]:
    return {key: event.data.get(key) for key in ("fraction", "stage", "eta_seconds")}


def _campaign_data(event: Any, state: str) -> dict[str, Any]:
    error = (event.envelope or {}).get("error") or {}
    front = event.front or []
    return {
        "run_id": str(event.campaign_id),
        "campaign": event.campaign,
        "project": event.project,
        "state": str(state),
        "labels": event.labels,
        "reason": error.get("message") or event.data.get("reason"),
        "remedy": error.get("remedy") or None,
        "error_id": error.get("error_id"),
        "trials": event.trials,
        "best": front[0][1] if front else None,
    }


def _trial_data(event: Any, state: RunState) -> dict[str, Any]:
    number = event.labels.get("trial", "")
    return _campaign_data(event, RunState.WAITING) | {
        "trial": int(number) if number.isdecimal() else -1,
        "trial_run_id": str(event.run_id),
        "trial_state": state.value,
        "scores": _scores(event) if state == RunState.SUCCEEDED else None,
    }


def _scores(event: Any) -> list[float] | None:
    """As the coordinator will find them; it may not have looked yet."""
    try:
        spec = read_as(CampaignSpec, event.campaign_spec_version, event.campaign_spec, CAMPAIGN)
        return measured(spec.objectives, (), (event.envelope or {}).get("result") or {})[0]
    except (ValueError, FaultlineError):
        return None

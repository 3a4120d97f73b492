"""What the API answers. Read leniently by clients of any release."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, View
from shared.contracts.envelope import Envelope
from shared.contracts.instants import Instant
from shared.contracts.roles import Role, Scope
from shared.contracts.states import RunState

T = TypeVar("T")
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=63)]
LabelValue = Annotated[str, StringConstraints(max_length=200)]


class Page(View, Generic[T]):
    """One page of a list; `next_cursor` fetches the next."""

    items: list[T]
    next_cursor: str | None = None


class Progress(View):
    """How far a run is: `fraction` in [0, 1], monotonic within an attempt."""

    fraction: float = 0.0
    stage: str | None = None
    current: int | None = None
    total: int | None = None
    eta_seconds: float | None = None


class SubmitRequest(Contract):
    """Any kind of run, asked for by name."""

    kind: str = Field(max_length=60)
    spec: dict[str, Any]
    pool: str | None = Field(None, max_length=60)
    priority: int = Field(0, ge=-100, le=100)
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=32)
    not_before: Instant | None = None  #: do not start earlier


class ChildCounts(View):
    """How the children of a parent stand."""

    total: int
    waiting: int = 0  #: to be started
    running: int = 0
    paused: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    quarantined: int = 0

    @property
    def open(self) -> int:
        """Those that have not ended."""
        return self.waiting + self.running + self.paused


class RunView(View):
    """One run."""

    id: UUID
    kind: str
    state: RunState
    pool: str
    priority: int
    attempt: int
    progress: Progress
    spec: dict[str, Any]
    labels: dict[str, str]
    wait_reason: str | None
    not_before: datetime | None = None
    retry_of: UUID | None
    parent_id: UUID | None
    schedule_id: UUID | None = None
    policy: str | None = None  #: of a parent: all, any or best_effort of its children
    cancel_requested_at: datetime | None
    pause_requested_at: datetime | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str | None
    cause: str | None = None  #: of a failed or quarantined run: which kind of trouble it was
    error_signature: str | None = None  #: equal for failures of one family
    children: ChildCounts | None = None  #: of a parent
    envelope: Envelope | None


class EventView(View):
    """One thing that happened to a run. `seq` counts from 1 without gaps that a reader may see."""

    run_id: UUID
    seq: int
    attempt: int
    type: str  #: `state`, `progress`, `stage`, `metrics`, `artifact`, `notice`
    at: datetime
    data: dict[str, Any]


class MetricPoint(View):
    """One value of one metric."""

    name: str
    step: int
    value: float | None  #: None: not a finite number
    attempt: int


class LogLine(View):
    """One line of a run's log: what was said by whom, with ids."""

    attempt: int
    line: dict[str, Any]


class ArtifactView(View):
    """One file that a run made."""

    id: UUID
    run_id: UUID
    attempt: int
    name: str
    role: str
    size_bytes: int
    sha256: str
    content_type: str
    created_at: datetime


class UploadView(View):
    """One file sent by a user, to be named in an import."""

    id: UUID
    file_name: str
    size_bytes: int
    sha256: str
    created_at: datetime


class DatasetView(View):
    """One dataset; `state` is that of the run that makes it."""

    id: UUID
    name: str
    run_id: UUID
    state: RunState
    created_at: datetime
    result: dict[str, Any] | None


class ModelView(View):
    """One model; `state` is that of the run that trains it."""

    id: UUID
    name: str
    run_id: UUID
    dataset_id: UUID
    state: RunState
    created_at: datetime
    result: dict[str, Any] | None


class WorkerView(View):
    """One worker process as it registered itself."""

    name: str
    pools: list[str]
    slots: int
    busy: int
    alive: bool
    draining: bool  #: it takes nothing new, or is about to
    let_go: bool  #: it takes nothing new, and has said so since it was asked to
    drain_requested_at: datetime | None = None  #: somebody asked for it
    version: str
    versions: dict[str, str] = Field(default_factory=dict)  #: of what it runs on
    started_at: datetime
    heartbeat_at: datetime


class MeView(View):
    """Who the API key belongs to, and what it may do. No scopes: all that the role allows."""

    principal: str
    project: str
    key_prefix: str
    role: Role | None = None  #: None: the server is older than roles
    operator: bool = False
    scopes: list[Scope] | None = None
    key_expires_at: datetime | None = None


class Problem(View):
    """RFC 9457 problem details with a remedy."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    remedy: str
    errors: list[dict[str, Any]] = Field(default_factory=list)
    error_id: str | None = None

"""The tables of work: runs and what belongs to them. Migrations make them; `tests/db` checks that both say the same.

A run row is the truth; entities point at the run that makes them and take their state from it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import NOW, Base, Xid8
from shared.db.notifying import (
    Channel,
    Delivery,
    DeliveryAttempt,
    InboxEntry,
    NewsPlace,
    Notice,
    Subscription,
    UsedLink,
)
from shared.db.tenancy import ApiKey, AuditEntry, Membership, Principal, Project

__all__ = [
    "ApiKey",
    "Artifact",
    "AuditEntry",
    "Base",
    "Campaign",
    "Channel",
    "Dataset",
    "Delivery",
    "DeliveryAttempt",
    "IdempotencyKey",
    "InboxEntry",
    "Membership",
    "Model",
    "NewsPlace",
    "Notice",
    "Outbox",
    "PoolControl",
    "Principal",
    "Project",
    "Run",
    "RunEvent",
    "RunMetric",
    "Schedule",
    "Subscription",
    "Trial",
    "Upload",
    "UploadSession",
    "UsedLink",
    "Worker",
]


class Worker(Base):
    """A worker process as it registered itself."""

    __tablename__ = "workers"
    name: Mapped[str] = mapped_column(primary_key=True)
    pools: Mapped[list[str]]
    kinds: Mapped[list[str]]  #: what it has bodies for; a pool may hold workers of several services or releases
    slots: Mapped[int]
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    versions: Mapped[dict[str, str]] = mapped_column(server_default=text("'{}'"))  #: what it runs on, by package
    draining: Mapped[bool] = mapped_column(server_default=text("false"))  #: it takes nothing new
    drain_requested_at: Mapped[datetime | None]  #: somebody asked for it
    clock_ahead_s: Mapped[float | None]  #: its clock less the database's, at its last heartbeat
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PoolControl(Base):
    """What a person decided about a pool; what a pool is stands in the settings."""

    __tablename__ = "pool_controls"
    name: Mapped[str] = mapped_column(primary_key=True)
    paused: Mapped[bool] = mapped_column(server_default=text("false"))  #: nothing of it is sent
    reason: Mapped[str | None]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("principals.id"))
    changed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Schedule(Base):
    """A run that is submitted again and again, by the clock of a time zone."""

    __tablename__ = "schedules"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    name: Mapped[str]
    cron: Mapped[str]
    timezone: Mapped[str]
    overlap: Mapped[str]  #: skip or allow, when the last run has not ended
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    kind: Mapped[str]
    spec: Mapped[dict[str, Any]]
    spec_version: Mapped[int]
    pool: Mapped[str | None]
    priority: Mapped[int]
    labels: Mapped[dict[str, str]]
    next_at: Mapped[datetime | None]
    last_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("schedules_due", "next_at", postgresql_where=text("enabled")),
    )


class Run(Base):
    """One asynchronous operation that a user asked for. `shared.runs.sync` is the only writer after submit."""

    __tablename__ = "runs"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    kind: Mapped[str]
    spec: Mapped[dict[str, Any]]
    spec_version: Mapped[int]
    inputs: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, str]]
    pool: Mapped[str]
    priority: Mapped[int]
    not_before: Mapped[datetime | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    policy: Mapped[str | None]  #: of a parent: all, any or best_effort of its children
    retry_of: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    schedule_id: Mapped[UUID | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("1"))  #: also the fencing number
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    #: waited for what was away, since the last checkpoint
    away_s: Mapped[float] = mapped_column(server_default=text("0"))
    worker: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    fraction: Mapped[float] = mapped_column(server_default=text("0"))
    stage: Mapped[str | None]
    stage_current: Mapped[int | None]
    stage_total: Mapped[int | None]
    eta_seconds: Mapped[float | None]
    cancel_requested_at: Mapped[datetime | None]
    pause_requested_at: Mapped[datetime | None]
    cause: Mapped[str | None]  #: of a failed or quarantined run: which kind of trouble it was
    error_signature: Mapped[str | None]  #: equal for failures of one family
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    queued_at: Mapped[datetime] = mapped_column(server_default=NOW)
    dispatched_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    event_seq: Mapped[int] = mapped_column(server_default=text("0"))
    envelope: Mapped[dict[str, Any] | None]

    __table_args__ = (
        Index("runs_by_project", "project_id", "id"),
        #: the dispatcher's order: see shared/runs/order.py
        Index(
            "runs_queued",
            "pool",
            "project_id",
            "kind",
            text("(- priority)"),
            text("GREATEST(queued_at, not_before)"),
            "id",
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "runs_ended",
            "pool",
            "finished_at",
            postgresql_where=text("finished_at IS NOT NULL AND started_at IS NOT NULL"),
        ),
        Index("runs_active", "state", "pool", postgresql_where=text("state IN ('dispatched', 'running')")),
        Index(
            "runs_open", "pool", "state", postgresql_include=["queued_at"], postgresql_where=text("finished_at IS NULL")
        ),
        Index("runs_by_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("runs_by_retry", "retry_of", postgresql_where=text("retry_of IS NOT NULL")),
        Index("runs_by_schedule", "schedule_id", "id", postgresql_where=text("schedule_id IS NOT NULL")),
        Index("runs_by_state", "project_id", "state", "id"),
        Index("runs_by_label", "labels", postgresql_using="gin", postgresql_ops={"labels": "jsonb_path_ops"}),
        Index("runs_by_failure", "project_id", "error_signature", postgresql_where=text("error_signature IS NOT NULL")),
    )


class RunEvent(Base):
    """One thing that happened to a run: the only news there is."""

    __tablename__ = "run_events"
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    attempt: Mapped[int]
    type: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    data: Mapped[dict[str, Any]]
    #: transactions below the oldest one that is open are all there: a stream over many runs is read up to it
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    __table_args__ = (Index("run_events_in_order", "xid", "id"),)


class RunMetric(Base):
    """One value of one metric of one attempt."""

    __tablename__ = "run_metrics"
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    value: Mapped[float]


class Artifact(Base):
    """One file in the store. It exists because this row was committed under the fence."""

    __tablename__ = "artifacts"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    role: Mapped[str]  #: artifact, checkpoint or log
    name: Mapped[str]
    step: Mapped[int | None] = mapped_column(BigInteger)
    key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    content_type: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (UniqueConstraint("run_id", "attempt", "role", "name"),)


class Outbox(Base):
    """A step to be sent: written with the change that asks for it."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    step: Mapped[str]
    args: Mapped[dict[str, Any]]
    traceparent: Mapped[str | None]
    not_before: Mapped[datetime] = mapped_column(server_default=NOW)
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    sent_at: Mapped[datetime | None]
    __table_args__ = (Index("outbox_unsent", "not_before", postgresql_where=text("sent_at IS NULL")),)


class IdempotencyKey(Base):
    """A request that was carried out once and is answered the same way again."""

    __tablename__ = "idempotency_keys"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    answer: Mapped[dict[str, Any] | None]  #: of a request that made no run
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Upload(Base):
    """One file sent by a user."""

    __tablename__ = "uploads"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    file_name: Mapped[str]
    key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class UploadSession(Base):
    """A file that comes in parts, over as many connections as it takes; it becomes an upload of the same id."""

    __tablename__ = "upload_sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    created_by: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]  #: as declared; checked at the end
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Campaign(Base):
    """What a search may use and how far it is; its parent run of the same id is its life."""

    __tablename__ = "campaigns"
    id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    pool: Mapped[str]
    max_parallel: Mapped[int]
    budget: Mapped[dict[str, Any]]
    sampler: Mapped[dict[str, Any]]  #: the one in use, also where `auto` was asked for
    stopping: Mapped[str | None]  #: a person asked for its end: finish or cancel what runs
    reason: Mapped[str | None]  #: why nothing more is asked
    asked: Mapped[int] = mapped_column(server_default=text("0"))  #: trials there are; the number of the next one
    carried: Mapped[int] = mapped_column(server_default=text("0"))  #: of them from earlier campaigns
    ended: Mapped[int] = mapped_column(server_default=text("0"))  #: of its own trials
    failures: Mapped[int] = mapped_column(server_default=text("0"))  #: in a row
    front: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))  #: [number, scores] that no other dominates
    improved_at: Mapped[int] = mapped_column(server_default=text("0"))  #: so many had ended when the front changed last
    gpu_s: Mapped[float] = mapped_column(server_default=text("0"))  #: of runs that have ended
    cost: Mapped[float] = mapped_column(server_default=text("0"))
    revision: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    study_attrs: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  #: what its sampler keeps
    active_since: Mapped[datetime | None]  #: its clock runs since then; null while it is paused
    active_s: Mapped[float] = mapped_column(server_default=text("0"))  #: what the clock showed when it was stopped
    look_at: Mapped[datetime | None]  #: when it must be advanced even if nothing happens
    winner_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    score_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))  #: the winner on the test side
    importance: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("campaigns_due", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    )


class Trial(Base):
    """One point of a campaign. Written under the lock of its campaign only."""

    __tablename__ = "trials"
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    origin: Mapped[str]  #: sampler, person or carried (from an earlier campaign)
    params: Mapped[dict[str, Any]]
    scores: Mapped[list[float] | None]  #: by objective; of a pruned trial the last value reported
    violations: Mapped[list[float] | None]  #: by limit; above zero: it is broken
    reports: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  #: step -> value at the rungs
    next_rung: Mapped[int | None] = mapped_column(BigInteger)  #: the step at which it is judged next
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    attrs: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  #: what sampler and pruner keep
    error: Mapped[str | None]
    revision: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("trials_open", "campaign_id", "number", postgresql_where=text("finished_at IS NULL")),
        Index("trials_by_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        Index("trials_by_revision", "campaign_id", "revision"),
    )


class Dataset(Base):
    """Named records; ready once its run has succeeded."""

    __tablename__ = "datasets"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (UniqueConstraint("project_id", "name"),)


class Model(Base):
    """A named, trained model; ready once its run has succeeded."""

    __tablename__ = "models"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (UniqueConstraint("project_id", "name"),)

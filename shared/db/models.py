"""The tables. Migrations make them; `tests/db` checks that both say the same.

A run row is the truth; entities point at the run that makes them and take their state from it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NOW = text("now()")


class Base(DeclarativeBase):
    """Declares the metadata."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain dict
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        dict[str, str]: JSONB,
        list[str]: ARRAY(Text),
        str: Text,
        float: Double,
    }


class Project(Base):
    """The tenant: owns everything."""

    __tablename__ = "projects"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Principal(Base):
    """Who acts: a user or a service."""

    __tablename__ = "principals"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class ApiKey(Base):
    """One way to be a principal in a project; only the hash of the key is kept."""

    __tablename__ = "api_keys"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    prefix: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


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
    draining: Mapped[bool] = mapped_column(server_default=text("false"))
    started_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=_NOW)


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
    retry_of: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("1"))  #: also the fencing number
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    worker: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    fraction: Mapped[float] = mapped_column(server_default=text("0"))
    stage: Mapped[str | None]
    stage_current: Mapped[int | None]
    stage_total: Mapped[int | None]
    eta_seconds: Mapped[float | None]
    cancel_requested_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    queued_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    dispatched_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    event_seq: Mapped[int] = mapped_column(server_default=text("0"))
    envelope: Mapped[dict[str, Any] | None]

    __table_args__ = (
        Index("runs_by_project", "project_id", "id"),
        Index("runs_queued", "pool", text("priority DESC"), "queued_at", postgresql_where=text("state = 'queued'")),
        Index("runs_active", "state", "pool", postgresql_where=text("state IN ('dispatched', 'running')")),
        Index(
            "runs_open", "pool", "state", postgresql_include=["queued_at"], postgresql_where=text("finished_at IS NULL")
        ),
        Index("runs_by_parent", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    )


class RunEvent(Base):
    """One thing that happened to a run: the only news there is."""

    __tablename__ = "run_events"
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    attempt: Mapped[int]
    type: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=_NOW)
    data: Mapped[dict[str, Any]]


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
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    __table_args__ = (UniqueConstraint("run_id", "attempt", "role", "name"),)


class Outbox(Base):
    """A step to be sent: written with the change that asks for it."""

    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    step: Mapped[str]
    args: Mapped[dict[str, Any]]
    traceparent: Mapped[str | None]
    not_before: Mapped[datetime] = mapped_column(server_default=_NOW)
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    sent_at: Mapped[datetime | None]
    __table_args__ = (Index("outbox_unsent", "not_before", postgresql_where=text("sent_at IS NULL")),)


class IdempotencyKey(Base):
    """A request that was carried out once and is answered the same way again."""

    __tablename__ = "idempotency_keys"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


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
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)


class Dataset(Base):
    """Named records; ready once its run has succeeded."""

    __tablename__ = "datasets"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    __table_args__ = (UniqueConstraint("project_id", "name"),)


class Model(Base):
    """A named, trained model; ready once its run has succeeded."""

    __tablename__ = "models"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("datasets.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=_NOW)
    __table_args__ = (UniqueConstraint("project_id", "name"),)

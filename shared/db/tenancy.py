"""The tables of access: who may do what where, and who did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import NOW, Base


class Project(Base):
    """The tenant: owns everything. A limit that is null does not bind."""

    __tablename__ = "projects"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    share: Mapped[float] = mapped_column(server_default=text("1"))  #: of a pool, beside other projects that wait for it
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
    gpu_hours_per_day: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    deleted_at: Mapped[datetime | None]


class Principal(Base):
    """Who acts: a user or a service."""

    __tablename__ = "principals"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(unique=True)
    #: may do what concerns all projects: make projects, set quotas, pause pools, drain workers
    operator: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    disabled_at: Mapped[datetime | None]


class Membership(Base):
    """What a principal may do in a project: viewer, editor, admin or owner."""

    __tablename__ = "memberships"
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principals.id"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ApiKey(Base):
    """One way to be a principal in a project; only the hash of the key is kept."""

    __tablename__ = "api_keys"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[UUID] = mapped_column(ForeignKey("principals.id"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(server_default=text("''"))
    prefix: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str] | None]  #: narrows what the role allows; null: all of it
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("principals.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One mutation that somebody asked for."""

    __tablename__ = "audit_log"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("projects.id"))
    principal_id: Mapped[UUID | None] = mapped_column(ForeignKey("principals.id"))
    key_prefix: Mapped[str | None]
    action: Mapped[str]
    target: Mapped[str]
    data: Mapped[dict[str, Any]]
    traceparent: Mapped[str | None]
    __table_args__ = (Index("audit_log_by_project", "project_id", "id"),)

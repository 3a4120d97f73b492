"""Projects, principals, members, keys, tickets and the audit log: what is asked and what is answered."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from shared.contracts.base import Contract, View
from shared.contracts.instants import Instant
from shared.contracts.roles import Role, Scope

_LONGEST_LIFE = timedelta(days=3660)
_MOST = 2**31 - 1


def _no_id(name: str) -> str:
    """Names stand where ids stand, so that none may look like one."""
    try:
        UUID(name)
    except ValueError:
        return name
    raise ValueError("must not look like an id")


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be printable")
    return name


ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$"), AfterValidator(_no_id)]
PrincipalName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}$"), AfterValidator(_no_id)
]
PrincipalKind = Literal["user", "service"]


class ProjectRequest(Contract):
    """A new project."""

    name: ProjectName


class ProjectChange(Contract):
    """What is to be different; what is left out stays. A limit of null does not bind."""

    name: ProjectName = ""
    share: float = Field(1.0, gt=0, le=1000)  #: of a pool, beside other projects that wait for it
    max_running: int | None = Field(None, ge=0, le=_MOST)
    max_queued: int | None = Field(None, ge=0, le=_MOST)
    gpu_hours_per_day: float | None = Field(None, ge=0, le=1e6)

    @model_validator(mode="after")
    def _something(self) -> "ProjectChange":
        if not self.model_fields_set:
            raise ValueError("nothing is to be changed; give a name, a share or a limit")
        return self


class ProjectView(View):
    """One project; `role` is the caller's in it."""

    id: UUID
    name: str
    role: Role | None
    share: float
    max_running: int | None
    max_queued: int | None
    gpu_hours_per_day: float | None
    created_at: datetime
    deleted_at: datetime | None


class PrincipalRequest(Contract):
    """A new user or service."""

    kind: PrincipalKind
    name: PrincipalName


class PrincipalChange(Contract):
    """What is to be different; what is left out stays."""

    disabled: bool | None = None
    operator: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> "PrincipalChange":
        if self.disabled is None and self.operator is None:
            raise ValueError("nothing is to be changed; give `disabled` or `operator`")
        return self


class PrincipalView(View):
    """One user or service."""

    id: UUID
    kind: str
    name: str
    operator: bool
    created_at: datetime
    disabled_at: datetime | None


class MemberRequest(Contract):
    """The role that a member is to have."""

    role: Role


class MemberView(View):
    """One member of the project."""

    principal_id: UUID
    principal: str
    kind: str
    role: Role
    created_at: datetime
    disabled: bool


class KeyRequest(Contract):
    """A new key: for the caller, or for the named member. What is left out is as in the key that asks."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
    principal: str | None = Field(None, max_length=120)  #: name or id
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=len(Scope))
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def _in_time(self) -> "KeyRequest":
        now = datetime.now(UTC)
        if self.expires_at is not None and not now < self.expires_at < now + _LONGEST_LIFE:
            raise ValueError("expires_at must lie ahead, at most ten years")
        return self


class KeyView(View):
    """One key, without the key: `prefix` is how it begins. No scopes: all that the role allows."""

    id: UUID
    name: str
    prefix: str
    principal: str
    scopes: list[Scope] | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKeyView(KeyView):
    """A key that was just made. `key` is shown this once and kept nowhere."""

    key: str


class NewProjectView(ProjectView):
    """A project that was just made, with the first key of its owner, shown this once."""

    key: NewKeyView


class AuditView(View):
    """One mutation that somebody asked for."""

    id: int
    at: datetime
    principal: str | None
    key_prefix: str | None
    action: str
    target: str
    data: dict[str, Any]
    traceparent: str | None


class TicketRequest(Contract):
    """The event stream to be opened: of one run, of the caller's inbox, or of the project if none is named."""

    run_id: UUID | None = None
    inbox: bool = False

    @model_validator(mode="after")
    def _one(self) -> "TicketRequest":
        if self.run_id and self.inbox:
            raise ValueError("inbox: a ticket opens one stream; leave out run_id")
        return self


class TicketView(View):
    """A ticket, and the address that it opens until it expires."""

    ticket: str
    url: str
    expires_at: datetime

"""Routes about who may do what: projects, principals, members, keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.cli.sdk.pages import pages
from services.cli.sdk.transport import Transport, parse, segment
from shared.contracts.access import (
    KeyRequest,
    KeyView,
    MemberRequest,
    MemberView,
    NewKeyView,
    NewProjectView,
    PrincipalChange,
    PrincipalKind,
    PrincipalRequest,
    PrincipalView,
    ProjectChange,
    ProjectRequest,
    ProjectView,
)
from shared.contracts.base import Contract
from shared.contracts.roles import Role, Scope
from shared.contracts.views import Page


class ProjectCalls:
    """Projects, and the principals of the platform."""

    http: Transport

    def projects(self, limit: int = 50) -> list[ProjectView]:
        """The caller's projects; an operator sees all."""
        return pages(self.http, "/v1/projects", Page[ProjectView], limit)

    def project(self, ref: str) -> ProjectView:
        """One project by id or name."""
        return parse(ProjectView, self.http.get(f"/v1/projects/{segment(ref)}"))

    def create_project(self, name: str) -> NewProjectView:
        """Make a project; the answer holds its first key, which is shown this once. For operators."""
        return parse(NewProjectView, self.http.post("/v1/projects", _json(ProjectRequest(name=name))))

    def change_project(self, ref: str, **changes: Any) -> ProjectView:
        """Change `name`, `share`, `max_running`, `max_queued` or `gpu_hours_per_day`; None lifts a limit.

        client.change_project("lab", max_running=4, gpu_hours_per_day=None)
        """
        body = ProjectChange(**changes).model_dump(mode="json", include=set(changes))
        return parse(ProjectView, self.http.patch(f"/v1/projects/{segment(ref)}", body))

    def delete_project(self, ref: str, *, force: bool = False) -> None:
        """Delete a project: its keys stop at once. `force`: although runs go on, which are asked to end."""
        self.http.delete(f"/v1/projects/{segment(ref)}", {"force": "true"} if force else None)

    def principals(self, limit: int = 50) -> list[PrincipalView]:
        """Users and services of the platform. For operators."""
        return pages(self.http, "/v1/principals", Page[PrincipalView], limit)

    def create_principal(self, name: str, kind: PrincipalKind = "user") -> PrincipalView:
        """Make a user or a service; it may do nothing before it is a member of a project and has a key."""
        body = _json(PrincipalRequest(name=name, kind=kind))
        return parse(PrincipalView, self.http.post("/v1/principals", body))

    def change_principal(
        self, ref: str, *, disabled: bool | None = None, operator: bool | None = None
    ) -> PrincipalView:
        """Disable a principal or let it in again; make it an operator, or no more."""
        body = PrincipalChange(disabled=disabled, operator=operator).model_dump(mode="json", exclude_none=True)
        return parse(PrincipalView, self.http.patch(f"/v1/principals/{segment(ref)}", body))


class KeyCalls:
    """Members of the project, and their keys."""

    http: Transport

    def members(self, *, role: Role | None = None, limit: int = 50) -> list[MemberView]:
        """The members of the project."""
        return pages(self.http, "/v1/members", Page[MemberView], limit, {"role": role.value if role else None})

    def set_member(self, principal: str, role: Role) -> MemberView:
        """Make a principal a member, or change what it may do."""
        path = f"/v1/members/{segment(principal)}"
        return parse(MemberView, self.http.put(path, _json(MemberRequest(role=role))))

    def remove_member(self, principal: str) -> None:
        """End a membership; the member's keys of this project are revoked."""
        self.http.delete(f"/v1/members/{segment(principal)}")

    def keys(self, limit: int = 50) -> list[KeyView]:
        """The caller's keys; to an admin all of the project's. Revoked ones too."""
        return pages(self.http, "/v1/keys", Page[KeyView], limit)

    def create_key(
        self,
        name: str,
        *,
        principal: str | None = None,
        scopes: list[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKeyView:
        """Make a key, for the caller or a member; `key` of the answer is shown this once.

        key = client.create_key("nightly", scopes=[Scope.READ], expires_at=next_year).key
        """
        body = KeyRequest(name=name, principal=principal, scopes=scopes, expires_at=expires_at)
        return parse(NewKeyView, self.http.post("/v1/keys", _json(body)))

    def revoke_key(self, key_id: UUID) -> None:
        """Revoke a key; the next request with it is refused."""
        self.http.delete(f"/v1/keys/{key_id}")


def _json(body: Contract) -> Any:
    return body.model_dump(mode="json")

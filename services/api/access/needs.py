"""What a route asks of its caller."""

from dataclasses import dataclass

from services.api.access.identity import Identity
from shared.contracts.roles import Role, Scope
from shared.errors import Forbidden


@dataclass(frozen=True)
class Needs:
    """A role in the project and a scope of the key; or instead of the role, or alone, an operator of the platform."""

    role: Role | None
    scope: Scope
    operator: bool = False  #: without a role: only an operator may; with one: an operator may as well

    def check(self, identity: Identity) -> Identity:
        """The identity as it is. Raises `Forbidden`."""
        if not identity.in_scope(self.scope):
            raise Forbidden(
                f"This needs the scope {self.scope}; the key {identity.key_prefix}... has "
                f"{', '.join(sorted(identity.scopes or ()))} only.",
                remedy=f"Use a key without scopes, or one with {self.scope}.",
            )
        if self.operator and identity.operator:
            return identity
        if self.role is None:
            raise Forbidden(
                "This concerns all projects and needs an operator of the platform.", remedy="Ask one of its operators."
            )
        if not identity.role.covers(self.role):
            raise Forbidden(
                f"This needs the role {self.role}; {identity.principal} is {identity.role} of this project."
            )
        return identity

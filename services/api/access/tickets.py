"""Tickets: a browser's `EventSource` cannot send a header, so it names a ticket in the address of one event stream.

A ticket is a signed statement and no row: it opens one path, for a minute, for the key that asked for it, and only as
long as that key is good.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import HTTPConnection

from services.api.access.identity import Identity, by_key_id
from shared.contracts.roles import Role, Scope
from shared.db.session import Executes
from shared.errors import Unauthorized
from shared.signing import Signer

PARAMETER = "ticket"
_PURPOSE = "ticket"
_GOOD_S = 60.0


class BadTicket(Unauthorized):
    """The ticket is unknown, expired, or of another stream."""

    remedy = "Ask for a new one: POST /v1/tickets."


class Tickets:
    """Issues tickets, and lets in who brings one."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def issue(self, identity: Identity, path: str) -> tuple[str, datetime]:
        """A ticket that opens `path` for the caller, and until when."""
        expires_at_s = time.time() + _GOOD_S
        statement = {
            "path": path,
            "key": str(identity.key_id),
            "principal": str(identity.principal_id),
            "project": str(identity.project_id),
        }
        return self._signer.sign(_PURPOSE, statement, expires_at_s), datetime.fromtimestamp(expires_at_s, UTC)

    def __call__(self, session: Executes, request: HTTPConnection) -> Identity | None:
        """Whose ticket it is, as a reader. None without one. Raises `BadTicket`."""
        ticket = request.query_params.get(PARAMETER)
        if ticket is None:
            return None
        statement = self._signer.read(_PURPOSE, ticket)
        if statement is None or statement["path"] != request.scope["path"]:
            raise BadTicket
        identity = by_key_id(session, UUID(statement["key"]))
        bound_to = (statement["principal"], statement["project"])
        if identity is None or bound_to != (str(identity.principal_id), str(identity.project_id)):
            raise BadTicket
        return replace(identity, role=Role.VIEWER, operator=False, scopes=frozenset({Scope.READ}))

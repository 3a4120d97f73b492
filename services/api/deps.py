"""What a route is given: the process's parts, one transaction per request, and who is calling."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from services.api.access.chain import Chain
from services.api.access.identity import Identity
from services.api.access.needs import Needs
from services.api.access.tickets import Tickets
from services.api.hub import EventHub
from shared.artifacts import ArtifactStore
from shared.contracts.roles import Role, Scope
from shared.db.session import transaction
from shared.settings import Settings
from shared.signing import Signer


@dataclass(frozen=True)
class Parts:
    """Process-wide parts, made by `build`."""

    settings: Settings
    engine: Engine
    store: ArtifactStore
    hub: EventHub
    access: Chain
    signer: Signer
    tickets: Tickets
    after_submit: Callable[[], None]  #: eager mode runs what was queued; otherwise nothing


def parts_of(request: HTTPConnection) -> Parts:
    """The parts of this process."""
    parts: Parts = request.app.state.parts
    return parts


async def _parts(request: Request) -> Parts:
    """As a coroutine: a plain function would go through the thread pool to read one attribute."""
    return parts_of(request)


PartsDep = Annotated[Parts, Depends(_parts)]


@dataclass(frozen=True)
class Asks:
    """Lets in who has what the route needs. Tests read the needs of every route from here."""

    needs: Needs

    def __call__(self, request: Request) -> Identity:
        """Who is calling, identified once per request. Raises `Unauthorized`, `Forbidden`."""
        identity: Identity | None = getattr(request.state, "identity", None)
        if identity is None:
            identity = parts_of(request).access.identify(request)
            request.state.identity = identity
        return self.needs.check(identity)


@dataclass(frozen=True)
class AsksForStream(Asks):
    """The same for an event stream, whose reader may name a ticket in the address."""

    def __call__(
        self, request: Request, ticket: Annotated[str | None, Query(description="Of POST /v1/tickets.")] = None
    ) -> Identity:
        """Who is calling. The ticket is read by its authenticator; here it is declared."""
        del ticket
        return super().__call__(request)


#: what a route asks of its caller: to read, to change what one is told, to make and change runs, to send and remove
#: data, to manage one's own keys, to manage people and their keys, to dispose of the project, to run the platform
ViewerDep = Annotated[Identity, Depends(Asks(Needs(Role.VIEWER, Scope.READ)))]
StreamDep = Annotated[Identity, Depends(AsksForStream(Needs(Role.VIEWER, Scope.READ)))]
ReaderDep = Annotated[Identity, Depends(Asks(Needs(Role.VIEWER, Scope.RUNS_WRITE)))]
EditorDep = Annotated[Identity, Depends(Asks(Needs(Role.EDITOR, Scope.RUNS_WRITE)))]
DATA_EDITOR = Needs(Role.EDITOR, Scope.DATA_WRITE)
DataEditorDep = Annotated[Identity, Depends(Asks(DATA_EDITOR))]
MemberDep = Annotated[Identity, Depends(Asks(Needs(Role.VIEWER, Scope.ADMIN)))]
AdminDep = Annotated[Identity, Depends(Asks(Needs(Role.ADMIN, Scope.ADMIN)))]
OwnerDep = Annotated[Identity, Depends(Asks(Needs(Role.OWNER, Scope.ADMIN)))]
OwnerOrOperatorDep = Annotated[Identity, Depends(Asks(Needs(Role.OWNER, Scope.ADMIN, operator=True)))]
OperatorDep = Annotated[Identity, Depends(Asks(Needs(None, Scope.ADMIN, operator=True)))]


def one_transaction(parts: PartsDep) -> Iterator[Session]:
    """Committed when the route returns, before the answer is sent; rolled back on an error."""
    with transaction(parts.engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(one_transaction, scope="function")]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[UUID | None, Query(alias="cursor")]

"""An API key in the `Authorization` header."""

from starlette.requests import HTTPConnection

from services.api.access.identity import Identity, by_key
from shared.db.session import Executes
from shared.errors import Unauthorized


def bearer_key(session: Executes, request: HTTPConnection) -> Identity | None:
    """Who holds the key of `Authorization: Bearer <key>`. Raises `Unauthorized` for any other content of the header."""
    header = request.headers.get("authorization")
    if not header:
        return None
    scheme, _, key = header.partition(" ")
    identity = by_key(session, key.strip()) if scheme.lower() == "bearer" else None
    if identity is None:
        raise Unauthorized
    return identity

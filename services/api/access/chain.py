"""The ways to say who one is, asked in order. A new way is one file with one `Authenticator`."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from services.api.access.identity import Identity
from shared.db.session import Executes, autocommit
from shared.errors import Unauthorized


class Authenticator(Protocol):
    """One way to say who one is."""

    def __call__(self, session: Executes, request: HTTPConnection) -> Identity | None:
        """Who sent the request. None: it says nothing in this way. Raises `Unauthorized` if it does, wrongly."""


class Chain:
    """The only place that decides who is calling."""

    def __init__(self, engine: Engine, authenticators: Sequence[Authenticator]) -> None:
        self._engine = engine
        self._authenticators = authenticators

    def identify(self, request: HTTPConnection) -> Identity:
        """The caller, by the first way that the request uses. Raises `Unauthorized`."""
        with autocommit(self._engine) as session:
            for authenticator in self._authenticators:
                identity = authenticator(session, request)
                if identity is not None:
                    return identity
        raise Unauthorized

"""`Idempotency-Key` for requests that make no run: carried out once, answered the same way again.

Every POST that makes something takes `OnceDep`, and asks it within its transaction:

    return once(session, identity, ThingView, body, make=lambda: _make(session, body))

What an answer shows once, a key, must not be kept: `before` and `keep` are for answers that are put together anew.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session

from services.api.access.identity import Identity
from services.api.deps import IdempotencyKey
from shared.runs import idempotency

ViewT = TypeVar("ViewT", bound=BaseModel)


def digest_of(*what: object) -> str:
    """Equal for equal requests."""
    return hashlib.sha256(orjson.dumps(what, default=_plain)).hexdigest()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


class Once:
    """One request and the key that it came with, if any. Equal are requests of one caller to one path."""

    def __init__(self, request: Request, key: IdempotencyKey = None) -> None:
        self._key = key
        self._place = f"{request.method} {request.url.path}"
        self._digest = ""

    def __call__(
        self, session: Session, identity: Identity, view: type[ViewT], *asked: object, make: Callable[[], ViewT]
    ) -> ViewT:
        """What `make` gives, or has given to the same request before. Raises `Conflict` as `before` does."""
        before = self.before(session, identity, view, *asked)
        return before if before is not None else self.keep(session, identity, make())

    def before(self, session: Session, identity: Identity, view: type[ViewT], *asked: object) -> ViewT | None:
        """What was kept for this key; it is held until the commit. Raises `Conflict` if something else was `asked`."""
        if self._key is None:
            return None
        self._digest = digest_of(self._place, identity.principal_id, *asked)
        found = idempotency.found(session, identity.project_id, self._key, self._digest)
        return None if found is None else view.model_validate(found.answer)

    def keep(self, session: Session, identity: Identity, view: ViewT) -> ViewT:
        """Keep for a repeat of what `before` was asked. It stays readable in the database, so no secret."""
        if self._key is not None:
            answer = view.model_dump(mode="json")
            idempotency.remember(session, identity.project_id, self._key, self._digest, answer=answer)
        return view


OnceDep = Annotated[Once, Depends()]

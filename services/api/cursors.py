"""Cursors of lists: where a page ended, and of which list it was, so that no cursor is read with other filters."""

import base64
import binascii
import hashlib
from typing import Any
from uuid import UUID

import orjson

from shared.errors import UserError

_MARK_BYTES = 6


def cursor_for(position: UUID, of: Any) -> str:
    """The cursor behind `position` in the list that is described by `of` (filters and order, as JSON)."""
    return base64.urlsafe_b64encode(_mark(of) + position.bytes).decode().rstrip("=")


def position_of(cursor: str, of: Any) -> UUID:
    """Where the next page begins. Raises `UserError` for text that is no cursor, or one of another list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = UUID(bytes=raw[_MARK_BYTES:])
    except (binascii.Error, ValueError) as error:
        raise UserError("The cursor is not one that this server gave.", remedy=_REMEDY) from error
    if raw[:_MARK_BYTES] != _mark(of):
        raise UserError("The cursor belongs to a list with other filters or another order.", remedy=_REMEDY)
    return position


_REMEDY = "Send `next_cursor` of the last page with the same filters, or none to begin at the start."


def _mark(of: Any) -> bytes:
    return hashlib.sha256(orjson.dumps(of, option=orjson.OPT_SORT_KEYS, default=str)).digest()[:_MARK_BYTES]

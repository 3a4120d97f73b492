"""Lists that come in pages."""

from typing import TypeVar

from services.cli.sdk.transport import Query, Transport, parse
from shared.contracts.views import Page

T = TypeVar("T")

LARGEST_PAGE = 200


def pages(
    http: Transport, path: str, page: type[Page[T]], limit: int, query: Query | None = None, begin: str | None = None
) -> list[T]:
    """The first `limit` items of a list, or of what lies behind the cursor `begin`, over as many pages as it takes."""
    items: list[T] = []
    cursor = begin
    while len(items) < limit:
        asked = {**(query or {}), "limit": min(limit - len(items), LARGEST_PAGE), "cursor": cursor}
        answer = parse(page, http.get(path, asked))
        items += answer.items
        if answer.next_cursor is None or answer.next_cursor == cursor:
            break
        cursor = answer.next_cursor
    return items[:limit]

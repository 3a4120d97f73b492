"""Lists that come in pages."""

from collections.abc import Iterator
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


def each_page(http: Transport, path: str, page: type[Page[T]], query: Query | None = None) -> Iterator[list[T]]:
    """The whole list, a page at a time as it comes."""
    cursor: str | None = None
    while True:
        answer = parse(page, http.get(path, {**(query or {}), "limit": LARGEST_PAGE, "cursor": cursor}))
        yield answer.items
        if answer.next_cursor is None or answer.next_cursor == cursor:
            return
        cursor = answer.next_cursor

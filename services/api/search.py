"""Which runs a list shows: what may be asked for, and the statement that answers within bounded time.

Filters that have an index choose the rows; the others are tried on the first `WINDOW` of those. A page may hence be
short although there is more: its cursor goes on where the window ended.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, defer

from services.api.cursors import cursor_for, position_of
from services.api.deps import Limit
from shared.contracts.instants import Instant
from shared.contracts.states import RunState
from shared.db.models import Run
from shared.errors import UserError

#: A page of a list without a fitting index reads at most so many rows: about 0.1 s for a text, 0.02 s for a kind.
WINDOW = 20_000
#: An id holds the time of the host that made it, `created_at` that of the database.
_CLOCKS_DIFFER = timedelta(hours=1)
_MAX_LABEL = 63 + 1 + 200  #: `LabelKey`, the colon, `LabelValue`
_Label = Annotated[str, Query(max_length=_MAX_LABEL)]

Cursor = Annotated[str | None, Query(max_length=60, description="`next_cursor` of the page before.")]


class Order(StrEnum):
    """Which come first."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True)
class Paging:
    """Where a page begins, how long it may be, and which come first."""

    cursor: Cursor = None
    limit: Limit = 50
    order: Order = Order.NEWEST

    def beyond(self, column: InstrumentedAttribute[UUID], of: Any) -> list[ColumnElement[bool]]:
        """Rows behind the cursor. Raises `UserError` for a cursor of another list than `of`."""
        if self.cursor is None:
            return []
        at = position_of(self.cursor, [of, self.order])
        return [column < at if self.order == Order.NEWEST else column > at]

    def sorted(self, column: InstrumentedAttribute[UUID]) -> ColumnElement[UUID]:
        """How to order; ids are in the order of their making."""
        return column.desc() if self.order == Order.NEWEST else column.asc()

    def next_cursor(self, position: UUID, of: Any) -> str:
        """The cursor of the page behind `position`."""
        return cursor_for(position, [of, self.order])


PagingDep = Annotated[Paging, Depends()]


@dataclass(frozen=True)
class RunFilter:
    """Which runs; all that is given must hold."""

    kind: Annotated[list[str] | None, Query(max_length=32, description="One of these kinds.")] = None
    state: Annotated[list[RunState] | None, Query(max_length=16, description="In one of these states.")] = None
    label: Annotated[
        list[_Label] | None, Query(max_length=32, description="`key:value`; all that are given must be there.")
    ] = None
    pool: Annotated[str | None, Query(max_length=60)] = None
    created_after: Annotated[Instant | None, Query(description="With a time zone; this instant included.")] = None
    created_before: Annotated[Instant | None, Query(description="With a time zone; this instant excluded.")] = None
    parent: Annotated[UUID | None, Query(description="Children of this run.")] = None
    retry_of: Annotated[UUID | None, Query(description="Retries of this run.")] = None
    schedule: Annotated[UUID | None, Query(description="Made by this schedule.")] = None
    created_by: Annotated[UUID | None, Query(description="Asked for by this principal.")] = None
    error_signature: Annotated[str | None, Query(max_length=200, description="Failures of this family.")] = None
    q: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Text, taken literally: in the spec's name, a label or the error, or how the id begins.",
        ),
    ] = None

    def indexed(self) -> list[ColumnElement[bool]]:
        """Conditions that an index serves beside the project's."""
        found: list[ColumnElement[bool]] = []
        if self.state:
            found.append(Run.state.in_(sorted(set(self.state))))
        if labels := labels_of(self.label or []):
            found.append(Run.labels.contains(labels))
        if self.parent is not None:
            found.append(Run.parent_id == self.parent)
        if self.retry_of is not None:
            found.append(Run.retry_of == self.retry_of)
        if self.schedule is not None:
            found.append(Run.schedule_id == self.schedule)
        if self.error_signature is not None:
            found.append(Run.error_signature == self.error_signature)
        if self.created_after is not None:
            since = _first_id(self.created_after - _CLOCKS_DIFFER)
            found += [Run.id >= since, Run.created_at >= self.created_after]
        if self.created_before is not None:
            until = _first_id(self.created_before + _CLOCKS_DIFFER)
            found += [Run.id < until, Run.created_at < self.created_before]
        return found

    def tried(self, run: type[Run]) -> list[ColumnElement[bool]]:
        """Conditions that are tried row by row."""
        found: list[ColumnElement[bool]] = []
        if self.kind:
            found.append(run.kind.in_(sorted(set(self.kind))))
        if self.pool is not None:
            found.append(run.pool == self.pool)
        if self.created_by is not None:
            found.append(run.created_by == self.created_by)
        if self.q is not None:
            texts = [run.spec["name"].astext, run.envelope[("error", "message")].astext]
            labels = func.jsonb_each_text(run.labels).table_valued("key", "value")
            label = select(1).select_from(labels).where(holds(self.q, labels.c.key, labels.c.value)).exists()
            found.append(
                or_(begins(run.id, self.q), holds(self.q, *texts), and_(run.labels != {}, label)),
            )
        return found


RunFilterDep = Annotated[RunFilter, Depends()]


def find_runs(session: Session, project_id: UUID, wanted: RunFilter, page: Paging) -> tuple[Sequence[Run], str | None]:
    """One page of runs of a project, without what a list does not show, and the cursor of the next page.

    Raises `UserError` for a cursor of another list or a label without a colon.
    """
    of = ["runs", project_id, asdict(wanted)]
    chosen = _chosen(project_id, wanted, page, of)
    some = aliased(Run, chosen.limit(WINDOW).subquery())
    tried = wanted.tried(some)
    lean = [defer(some.inputs), defer(some.traceparent)]
    query = select(some).where(*tried).order_by(page.sorted(some.id)).limit(page.limit + 1).options(*lean)
    rows = session.scalars(query).all()
    if len(rows) > page.limit:
        return rows[: page.limit], page.next_cursor(rows[page.limit - 1].id, of)
    if not tried:
        return rows, None
    window_end = session.scalar(chosen.with_only_columns(Run.id).offset(WINDOW - 1).limit(1))
    return rows, None if window_end is None else page.next_cursor(window_end, of)


def _chosen(project_id: UUID, wanted: RunFilter, page: Paging, of: Any) -> Select[Run]:
    conditions = [Run.project_id == project_id, *wanted.indexed(), *page.beyond(Run.id, of)]
    return select(Run).where(*conditions).order_by(page.sorted(Run.id))


def labels_of(given: Sequence[str]) -> dict[str, str]:
    """`key:value` texts as labels. Raises `UserError` for one without a colon, or a key with two values."""
    labels: dict[str, str] = {}
    for text in given:
        key, colon, value = text.partition(":")
        if not colon or not key or labels.get(key, value) != value:
            raise UserError(
                f"label: {text[:80]!r} is not a label to look for.",
                remedy="Write label=key:value, each key once; repeat `label` for several keys.",
            )
        labels[key] = value
    return labels


def holds(text: str, *columns: Any) -> ColumnElement[bool]:
    """Whether one of the columns holds `text`, literally and in any case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def begins(column: Any, text: str) -> ColumnElement[bool]:
    """Whether an id begins with `text`."""
    return cast(column, Text).startswith(text.lower(), autoescape=True)


def _first_id(at: datetime) -> UUID:
    """The least id of version 7 that can be made at `at`."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return UUID(int=milliseconds << 80)

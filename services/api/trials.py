"""Trials in pages, and as comma-separated values that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from fastapi.responses import StreamingResponse
from sqlalchemy import Engine

from services.api.cursors import cursor_for, position_of
from shared.campaigns import read
from shared.campaigns.cells import cell
from shared.contracts.campaigns import CampaignSpec, TrialView
from shared.contracts.space import flat
from shared.contracts.views import Page
from shared.db.session import transaction

#: larger than every number of a trial
BEYOND = 2**31 - 1
_REVISIONS = 2**62 - 1
_BLOCK = 500  #: trials that are in memory at a time


def read_cursor(cursor: str | None, of: Any) -> tuple[int, int] | None:
    """Revision and number of the last trial of the page before. Raises `UserError` as `position_of` does."""
    if cursor is None:
        return None
    at = position_of(cursor, of).int
    return at >> 64 & _REVISIONS, at & BEYOND


def page_of_trials(items: list[TrialView], of: Any, limit: int) -> Page[TrialView]:
    """A page of at most `limit` of `items`, with the cursor of the next one if there are more."""
    shown = items[:limit]
    more = len(items) > limit
    return Page(
        items=shown, next_cursor=cursor_for(UUID(int=shown[-1].revision << 64 | shown[-1].number), of) if more else None
    )


def as_csv(engine: Engine, campaign_id: UUID, name: str, spec: CampaignSpec) -> StreamingResponse:
    """Every trial by number, read block by block while it is sent."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(engine, campaign_id, spec), media_type="text/csv", headers=headers)


def _lines(engine: Engine, campaign_id: UUID, spec: CampaignSpec) -> Iterator[str]:
    params = [parameter.name for parameter in flat(spec.space)]
    head = ["number", "state", "origin", *(f"params.{name}" for name in params)]
    head += [f"values.{objective.result}" for objective in spec.objectives]
    yield _line([*head, "allowed", "run_id", "tries", "started_at", "finished_at", "error"])
    after: int | None = None
    while True:
        with transaction(engine) as session:
            block = read.trials(session, campaign_id, after=after, states=None, limit=_BLOCK)
        yield "".join(_line(_cells(trial, params, len(spec.objectives))) for trial in block)
        if len(block) < _BLOCK:
            return
        after = block[-1].number


def _cells(trial: TrialView, params: list[str], objectives: int) -> list[Any]:
    values = trial.values or []
    moments = [None if moment is None else moment.isoformat() for moment in (trial.started_at, trial.finished_at)]
    return [
        trial.number,
        trial.state.value,
        trial.origin,
        *(trial.params.get(name) for name in params),
        *(values[index] if index < len(values) else None for index in range(objectives)),
        trial.allowed,
        trial.run_id,
        trial.tries,
        *moments,
        trial.error,
    ]


def _line(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(map(cell, cells))
    return line.getvalue()

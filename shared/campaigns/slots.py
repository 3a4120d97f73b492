"""How the trials of a campaign went: how far each came, and which slot worked on it."""

import heapq
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.campaigns.sampling import places
from shared.contracts.campaign_views import Aim, Bar, Rung, RungsView, TimelineView
from shared.db.session import Executes

_RUNGS = text(
    """
    WITH told AS (
        SELECT state, step, value, step = max(step) OVER (PARTITION BY number) AS last
        FROM trials CROSS JOIN LATERAL (
            SELECT CAST(key AS bigint) AS step, CAST(value AS double precision) AS value FROM jsonb_each_text(reports)
        ) AS reported
        WHERE campaign_id = :id AND reports <> '{}'
    )
    SELECT step, count(*) AS reached, count(*) FILTER (WHERE last AND state IN ('pruned', 'pruning')) AS stopped,
        :sign * max(:sign * value) AS best, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median
    FROM told GROUP BY step ORDER BY step
    """
)
#: A run that was tried again is no trial's run any more; its label says whose it was.
_BARS = text(
    """
    SELECT coalesce(trials.number, CASE WHEN labels ->> 'trial' ~ '^[0-9]{1,9}$'
            THEN CAST(labels ->> 'trial' AS integer) END) AS number,
        coalesce(trials.state, 'failed') AS state, min(started_at) OVER () AS since,
        CAST(extract(epoch FROM started_at - min(started_at) OVER ()) AS double precision) AS start_s,
        CAST(extract(epoch FROM runs.finished_at - min(started_at) OVER ()) AS double precision) AS end_s
    FROM runs LEFT JOIN trials ON trials.run_id = runs.id AND trials.campaign_id = :id
    WHERE runs.parent_id = :id AND started_at IS NOT NULL AND runs.id IS DISTINCT FROM CAST(:score AS uuid)
    ORDER BY started_at, runs.id
    """
)


def rungs(session: Executes, campaign_id: UUID, aim: Aim, most: int) -> RungsView:
    """How many trials came to each step at which they were judged, and how many ended there."""
    sign = 1.0 if aim.goal == "maximize" else -1.0
    rows = session.execute(_RUNGS, {"id": campaign_id, "sign": sign}).all()
    shown = [Rung(**rows[place]._asdict()) for place in places(len(rows), most)]
    return RungsView(objective=aim, rungs=shown, shown=len(shown), total=len(rows))


def timeline(
    session: Executes, campaign_id: UUID, score_run_id: UUID | None, kept: Collection[int], most: int
) -> TimelineView:
    """The runs of all trials in lanes; those of the trials in `kept` are always among the ones that are shown."""
    found = session.execute(_BARS, {"id": campaign_id, "score": score_run_id}).all()
    rows = [row for row in found if row.number is not None]
    lanes = packed((row.start_s, row.end_s) for row in rows)
    heeded = set(sorted(kept)[: most // 2])
    chosen = places(len(rows), most, [place for place, row in enumerate(rows) if row.number in heeded][: most // 2])
    bars = [_bar(rows[place], lanes[place]) for place in chosen]
    since = rows[0].since if rows else None
    return TimelineView(since=since, lanes=max(lanes, default=-1) + 1, bars=bars, shown=len(bars), total=len(rows))


def _bar(row: Any, lane: int) -> Bar:
    end_s = None if row.end_s is None else round(row.end_s, 3)
    return Bar(number=row.number, state=row.state, lane=lane, start_s=round(row.start_s, 3), end_s=end_s)


def packed(spans: Iterable[tuple[float, float | None]]) -> list[int]:
    """For each (start, end), by start, the first lane that is free then: as many lanes as there are spans at once."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    lanes = []
    for start, end in spans:
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (float("inf") if end is None else end, lane))
        lanes.append(lane)
    return lanes

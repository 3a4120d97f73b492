"""What a campaign looks like, from our own rows: no study is needed, and fifty thousand trials are no trouble."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.campaigns.sampling import PICKED, bounds, places
from shared.campaigns.slots import rungs, timeline
from shared.campaigns.trials import is_allowed
from shared.contracts.campaign_views import (
    MOST_POINTS,
    Aim,
    Axis,
    BestStep,
    CampaignPicture,
    ContourPoint,
    ContourView,
    HistoryPoint,
    HistoryView,
    ImportanceView,
    ParallelLine,
    ParallelView,
    ParetoPoint,
    ParetoView,
    SlicePoint,
    SliceView,
    ViewName,
)
from shared.contracts.campaigns import CAMPAIGN, CampaignSpec
from shared.contracts.space import Categorical, Flat, flat
from shared.contracts.stored import read_as
from shared.db.session import Executes
from shared.errors import UserError

#: Values in one view of parallel coordinates: of a space of many parameters fewer trials are shown.
_MOST_CELLS = 40_000
_LOOKED = text(
    "SELECT campaigns.id, front, importance, score_run_id, spec, spec_version "
    "FROM campaigns JOIN runs ON runs.id = campaigns.id WHERE campaigns.id = :id"
)
_SAMPLED = text(
    f"""
    WITH ranked AS (
        SELECT number, row_number() OVER (ORDER BY number) - 1 AS place, count(*) OVER () AS total
        FROM trials WHERE campaign_id = :id AND state = 'complete' AND jsonb_exists_all(params, CAST(:names AS text[]))
    ), picked AS ({PICKED})
    SELECT total, trials.number, params, scores, violations
    FROM picked JOIN trials ON trials.campaign_id = :id AND trials.number = picked.number ORDER BY trials.number
    """  # noqa: S608 - constants
)
#: `:sign` is -1 where less is better.
_BEST = text(
    """
    WITH seen AS (
        SELECT number, scores[CAST(:place AS integer)] AS value,
            max(:sign * scores[CAST(:place AS integer)])
                OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM trials WHERE campaign_id = :id AND state = 'complete' AND NOT coalesce(0 < ANY(violations), false)
            AND NOT (origin = 'carried' AND run_id IS NULL)
    )
    SELECT number, value FROM seen WHERE before IS NULL OR :sign * value > before ORDER BY number
    """
)


@dataclass(frozen=True)
class Wanted:
    """What is to be looked at."""

    objective: int = 0
    x: str | None = None  #: of a slice or a contour; default: the parameter that matters most
    y: str | None = None  #: of a contour; default: the next one
    most: int = MOST_POINTS


@dataclass(frozen=True)
class Looked:
    """A campaign, ready to be looked at."""

    id: UUID
    spec: CampaignSpec
    front: list[list[Any]]
    importance: ImportanceView
    score_run_id: UUID | None


@dataclass(frozen=True)
class _Seen:
    session: Executes
    campaign: Looked
    spec: CampaignSpec
    parameters: list[Flat]
    wanted: Wanted

    @property
    def aim(self) -> Aim:
        return aims(self.spec)[self.wanted.objective]

    @property
    def kept(self) -> list[int]:
        return [number for number, _scores in self.campaign.front]

    def sample(self, names: Sequence[str] = (), most: int | None = None) -> tuple[list[Any], int]:
        """Complete trials that have all these parameters, and how many there are."""
        return complete_trials(self.session, self.campaign.id, names, most or self.wanted.most, self.kept)

    def point(self, row: Any) -> dict[str, Any]:
        """What every point has."""
        value = row.scores[self.wanted.objective]
        return {"number": row.number, "value": value, "allowed": is_allowed(row.violations)}


def complete_trials(
    session: Executes, campaign_id: UUID, names: Sequence[str] = (), most: int = MOST_POINTS, kept: Sequence[int] = ()
) -> tuple[list[Any], int]:
    """Complete trials that have all these parameters (number, params, scores, violations), at most `most` of them with
    those in `kept`; and how many there are."""
    values = {"id": campaign_id, "names": list(names), **bounds(most, kept)}
    rows = list(session.execute(_SAMPLED, values).all())
    return rows, rows[0].total if rows else 0


def aims(spec: CampaignSpec) -> list[Aim]:
    """What a campaign seeks."""
    return [Aim(result=objective.result, goal=objective.goal) for objective in spec.objectives]


def axis(parameter: Flat) -> Axis:
    """A parameter as an axis."""
    leaf = parameter.leaf
    if isinstance(leaf, Categorical):
        return Axis(name=parameter.name, type=leaf.type, choices=list(leaf.choices))
    return Axis(name=parameter.name, type=leaf.type, low=leaf.low, high=leaf.high, log=leaf.log)


def looked_at(session: Executes, campaign_id: UUID) -> Looked:
    """A campaign that is there, for `look`."""
    row = session.execute(_LOOKED, {"id": campaign_id}).one()
    spec = read_as(CampaignSpec, row.spec_version, row.spec, CAMPAIGN)
    found = row.importance or {"note": "It is found once some trials are complete."}
    return Looked(row.id, spec, row.front, ImportanceView.model_validate(found), row.score_run_id)


def look(session: Executes, campaign: Looked, name: ViewName, wanted: Wanted) -> CampaignPicture:
    """One view of a campaign.

    Raises `UserError` for a parameter that is not searched, an objective that there is not, a contour of one
    parameter, a front of one objective."""
    spec = campaign.spec
    if not 0 <= wanted.objective < len(spec.objectives):
        last = len(spec.objectives) - 1
        raise UserError(f"objective: there is no {wanted.objective}.", remedy=f"Name one from 0 to {last}.")
    seen = _Seen(session, campaign, spec, flat(spec.space), wanted)
    match name:
        case ViewName.HISTORY:
            return _history(seen)
        case ViewName.PARALLEL:
            return _parallel(seen)
        case ViewName.SLICE:
            return _slice(seen)
        case ViewName.CONTOUR:
            return _contour(seen)
        case ViewName.PARETO:
            return _pareto(seen)
        case ViewName.RUNGS:
            return rungs(session, campaign.id, aims(spec)[0], wanted.most)
        case ViewName.TIMELINE:
            return timeline(session, campaign.id, campaign.score_run_id, seen.kept, wanted.most)
        case ViewName.IMPORTANCE:
            return campaign.importance


def _history(seen: _Seen) -> HistoryView:
    rows, total = seen.sample()
    sign = 1.0 if seen.aim.goal == "maximize" else -1.0
    values = {"id": seen.campaign.id, "place": seen.wanted.objective + 1, "sign": sign}
    steps = seen.session.execute(_BEST, values).all()
    points = [HistoryPoint(**seen.point(row)) for row in rows]
    best = [BestStep(number=steps[i].number, value=steps[i].value) for i in places(len(steps), seen.wanted.most)]
    return HistoryView(
        objective=seen.aim, points=points, best=best, best_total=len(steps), shown=len(points), total=total
    )


def _parallel(seen: _Seen) -> ParallelView:
    rows, total = seen.sample(most=max(10, min(seen.wanted.most, _MOST_CELLS // len(seen.parameters))))
    lines = [ParallelLine(**seen.point(row), params=row.params) for row in rows]
    axes = [axis(parameter) for parameter in seen.parameters]
    return ParallelView(objective=seen.aim, axes=axes, lines=lines, shown=len(lines), total=total)


def _slice(seen: _Seen) -> SliceView:
    x = _parameter(seen, "x", seen.wanted.x, [])
    rows, total = seen.sample([x.name])
    points = [SlicePoint(**seen.point(row), x=row.params[x.name]) for row in rows]
    return SliceView(objective=seen.aim, x=axis(x), points=points, shown=len(points), total=total)


def _contour(seen: _Seen) -> ContourView:
    if len(seen.parameters) < 2:
        raise UserError("A contour needs two parameters; this space has one.", remedy="Look at its slice.")
    x = _parameter(seen, "x", seen.wanted.x, [seen.wanted.y])
    y = _parameter(seen, "y", seen.wanted.y, [x.name])
    if x.name == y.name:
        raise UserError("x and y are the same parameter.", remedy="Name two, or look at its slice.")
    rows, total = seen.sample([x.name, y.name])
    points = [ContourPoint(**seen.point(row), x=row.params[x.name], y=row.params[y.name]) for row in rows]
    return ContourView(objective=seen.aim, x=axis(x), y=axis(y), points=points, shown=len(points), total=total)


def _parameter(seen: _Seen, place: str, name: str | None, taken: Sequence[str | None]) -> Flat:
    """The one that is named, else the first by importance, else by the space, that is not taken."""
    known = {parameter.name: parameter for parameter in seen.parameters}
    if name is None:
        found = seen.campaign.importance.objectives
        shares = found[seen.wanted.objective].shares if len(found) > seen.wanted.objective else []
        names = [*(share.name for share in shares if share.name in known), *known]
        return known[next(other for other in names if other not in taken)]
    if name not in known:
        words = ", ".join(sorted(known)[:12])
        raise UserError(f"{place}: {name!r} is not searched.", remedy=f"Name one of: {words}.")
    return known[name]


def _pareto(seen: _Seen) -> ParetoView:
    if len(seen.spec.objectives) < 2:
        raise UserError("There is one objective, so there is no front.", remedy="Look at its history.")
    rows, total = seen.sample()
    front = set(seen.kept)
    points = [
        ParetoPoint(
            number=row.number, values=row.scores, allowed=is_allowed(row.violations), on_front=row.number in front
        )
        for row in rows
    ]
    return ParetoView(objectives=aims(seen.spec), points=points, shown=len(points), total=total)

"""What a report is made of, read when it is asked for: its body shows the campaign as it was then, and knows no SQL."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared.campaigns.sampling import PICKED, bounds
from shared.campaigns.trials import is_allowed, winner
from shared.campaigns.views import Looked, Wanted, aims, look, looked_at
from shared.contracts.campaign_report import ReportData
from shared.contracts.campaign_views import CampaignPicture, SliceView, ViewName
from shared.contracts.space import flat
from shared.db.session import Executes
from shared.errors import NotFound
from shared.runs.inputs import register_pin

#: What is pinned lies in one row: a picture needs no more points, and the row stays below a megabyte.
_MOST_POINTS, _MOST_TRIALS, _MOST_SLICES, _TOP = 500, 2000, 6, 20
_ABOUT = text(
    """
    SELECT campaigns.name, campaigns.reason, campaigns.created_at, campaigns.sampler, campaigns.pool,
        runs.labels, runs.state, runs.finished_at,
        runs.envelope -> 'result' -> 'test' AS test
    FROM campaigns JOIN runs ON runs.id = campaigns.id
    WHERE campaigns.id = :id AND campaigns.project_id = :project FOR KEY SHARE OF campaigns
    """
)
_COUNTS = text("SELECT state, count(*) AS trials FROM trials WHERE campaign_id = :id GROUP BY state ORDER BY state")
_COLUMNS = """trials.number, trials.state, trials.origin, trials.params, trials.scores AS values, trials.violations,
    trials.error, trials.run_id, trials.created_at AS started_at, trials.finished_at"""
_TRIALS = text(
    f"""
    WITH ranked AS (
        SELECT number, row_number() OVER (ORDER BY number) - 1 AS place, count(*) OVER () AS total
        FROM trials WHERE campaign_id = :id
    ), picked AS ({PICKED})
    SELECT picked.total, {_COLUMNS}
    FROM picked JOIN trials ON trials.campaign_id = :id AND trials.number = picked.number ORDER BY trials.number
    """  # noqa: S608 - constants
)
_BEST = text(
    f"""
    SELECT {_COLUMNS} FROM trials
    WHERE campaign_id = :id AND state = 'complete' AND NOT coalesce(0 < ANY(violations), false)
        AND NOT (origin = 'carried' AND run_id IS NULL)
    ORDER BY :sign * scores[1] DESC, number LIMIT :top
    """  # noqa: S608 - constants
)
_SPEC = text(
    "SELECT trials.number, params, run_id, runs.spec FROM trials LEFT JOIN runs ON runs.id = trials.run_id "
    "WHERE campaign_id = :id AND number = :number"
)


def pin_campaign(session: Executes, project_id: UUID, ref: UUID) -> dict[str, Any]:
    """All that a report shows of a campaign. Raises `NotFound`."""
    about = session.execute(_ABOUT, {"id": ref, "project": project_id}).one_or_none()
    if about is None:
        raise NotFound(f"There is no campaign {ref} in this project.", remedy="`GET /v1/campaigns` lists them.")
    data = report_data(session, looked_at(session, ref), about)
    return {"type": "campaign", "name": about.name, "result": data.model_dump(mode="json"), "files": {}}


def report_data(session: Executes, campaign: Looked, about: Any) -> ReportData:
    """The campaign as it stands now; `about`: a row of its name, states and times."""
    spec = campaign.spec
    best = winner(spec.objectives, campaign.front)
    found = session.execute(_SPEC, {"id": campaign.id, "number": best[0]}).one() if best else None
    kept = [number for number, _scores in campaign.front]
    rows = session.execute(_TRIALS, {"id": campaign.id, **bounds(_MOST_TRIALS, kept)}).all()
    sign = 1.0 if spec.objectives[0].goal == "maximize" else -1.0
    top = session.execute(_BEST, {"id": campaign.id, "sign": sign, "top": _TOP}).all()
    return ReportData.model_validate(
        {
            "id": campaign.id,
            "name": about.name,
            "kind": spec.kind,
            "state": about.state,
            "reason": about.reason,
            "sampler": about.sampler["type"],
            "pruner": spec.pruner.type,
            "aims": aims(spec),
            "at": datetime.now(UTC),
            "created_at": about.created_at,
            "finished_at": about.finished_at,
            "counts": {row.state: row.trials for row in session.execute(_COUNTS, {"id": campaign.id}).all()},
            "parameters": [parameter.name for parameter in flat(spec.space)],
            "best": {"number": best[0], "values": best[1], "params": found.params, "run_id": found.run_id}
            if best and found
            else None,
            "best_spec": found.spec if found else None,
            "pool": about.pool,
            "labels": about.labels,
            "test": about.test,
            "views": _views(session, campaign),
            "slices": _slices(session, campaign),
            "top": [_trial(row._asdict()) for row in top],
            "trials": [_trial(row._asdict()) for row in rows],
            "trials_total": rows[0].total if rows else 0,
        }
    )


def _trial(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "allowed": is_allowed(row["violations"])}


def _views(session: Executes, campaign: Looked) -> list[CampaignPicture]:
    names = [ViewName.HISTORY, ViewName.PARALLEL, ViewName.IMPORTANCE, ViewName.TIMELINE]
    names += [ViewName.CONTOUR] if len(flat(campaign.spec.space)) > 1 else []
    names += [ViewName.PARETO] if len(campaign.spec.objectives) > 1 else []
    names += [ViewName.RUNGS] if campaign.spec.pruner.type != "none" else []
    return [look(session, campaign, name, Wanted(most=_MOST_POINTS)) for name in names]


def _slices(session: Executes, campaign: Looked) -> list[SliceView]:
    """Of the parameters that matter most."""
    found = campaign.importance.objectives
    names = [share.name for share in found[0].shares] if found else []
    names += [parameter.name for parameter in flat(campaign.spec.space) if parameter.name not in names]
    seen = (look(session, campaign, ViewName.SLICE, Wanted(x=name, most=_MOST_POINTS)) for name in names[:_MOST_SLICES])
    return [view for view in seen if isinstance(view, SliceView)]


register_pin("campaign", pin_campaign)

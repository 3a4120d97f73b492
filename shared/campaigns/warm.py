"""Trials of earlier campaigns, carried over into a new one as far as they fit its space."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.campaigns.trials import is_allowed, joined, measured
from shared.contracts.campaigns import CAMPAIGN, CampaignSpec
from shared.contracts.space import Flat, Point, contains, flat, found_at
from shared.errors import NotFound, UserError

_MOST = 20_000
_EARLIER = text(
    "SELECT id, spec ->> 'kind' AS kind FROM runs WHERE id = :id AND project_id = :project AND kind = :kind"
)
#: The spec of its run says what a trial was, also where the earlier campaign did not search a field.
_TRIALS = text(
    """
    SELECT trials.run_id, runs.spec, runs.envelope -> 'result' AS result
    FROM trials JOIN runs ON runs.id = trials.run_id
    WHERE trials.campaign_id = ANY(:ids) AND trials.state = 'complete' ORDER BY trials.finished_at, trials.number
    LIMIT :most
    """
)
_CARRY = text(
    """
    INSERT INTO trials (campaign_id, number, state, origin, params, scores, violations, run_id, revision, finished_at)
    SELECT :campaign, row_number() OVER () - 1, 'complete', 'carried', CAST(params AS jsonb),
        ARRAY(SELECT CAST(value AS double precision) FROM jsonb_array_elements_text(CAST(scores AS jsonb))),
        ARRAY(SELECT CAST(value AS double precision) FROM jsonb_array_elements_text(CAST(violations AS jsonb))),
        run_id, 0, now()
    FROM unnest(CAST(:params AS text[]), CAST(:scores AS text[]), CAST(:violations AS text[]), CAST(:runs AS uuid[]))
        AS carried (params, scores, violations, run_id)
    """
)


def carry(session: Session, project_id: UUID, campaign_id: UUID, spec: CampaignSpec) -> tuple[int, list[list[Any]]]:
    """Write the trials that fit; returns how many they are, and the best of them as a front.

    Objectives and limits are read from the results anew, so that they may be others than before. Raises `NotFound` for
    a campaign that this project does not have, `UserError` for one over another kind of run."""
    for earlier in spec.warm_start:
        found = session.execute(_EARLIER, {"id": earlier, "project": project_id, "kind": CAMPAIGN}).one_or_none()
        if found is None:
            raise NotFound(f"warm_start: there is no campaign {earlier} in this project.")
        if found.kind != spec.kind:
            raise UserError(
                f"warm_start: campaign {earlier} is over {found.kind}, not {spec.kind}.", remedy="Leave it out."
            )
    if not spec.warm_start:
        return 0, []
    rows = session.execute(_TRIALS, {"ids": spec.warm_start, "most": _MOST}).all()
    fitting = list(_fitting(spec, flat(spec.space), rows))
    session.execute(
        _CARRY,
        {
            "campaign": campaign_id,
            "params": [orjson.dumps(point).decode() for point, _scores, _broken, _run in fitting],
            "scores": [orjson.dumps(scores).decode() for _point, scores, _broken, _run in fitting],
            "violations": [orjson.dumps(broken).decode() for _point, _scores, broken, _run in fitting],
            "runs": [run for _point, _scores, _broken, run in fitting],
        },
    )
    front: list[list[Any]] = []
    for number, (_point, scores, violations, _run) in enumerate(fitting):
        if is_allowed(violations):
            front = joined(spec.objectives, front, number, scores) or front
    return len(fitting), front


def _fitting(
    spec: CampaignSpec, parameters: list[Flat], rows: Sequence[Any]
) -> Iterator[tuple[Point, list[float], list[float], UUID]]:
    for row in rows:
        point = point_of(parameters, row.spec)
        if point is None:
            continue
        try:
            scores, violations = measured(spec.objectives, spec.constraints, row.result or {})
        except ValueError:
            continue  # it does not tell what is sought here
        yield point, scores, violations, row.run_id


def point_of(parameters: list[Flat], spec: Mapping[str, Any]) -> Point | None:
    """Where a spec lies in the space. None: outside of it."""
    point: Point = {}
    for parameter in parameters:
        if not parameter.active(point):
            continue
        try:
            value = found_at(spec, parameter.name)
        except KeyError:
            return None
        if not contains(parameter.leaf, value):
            return None
        point[parameter.name] = value
    return point

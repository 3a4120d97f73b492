"""What a trial is: a run of the campaign's kind at one point, and the numbers that its result holds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from shared.contracts.campaigns import CampaignSpec, Limit, Objective
from shared.contracts.kinds import kind_named
from shared.contracts.space import Point, found_at, placed
from shared.contracts.specs import Spec, TooLarge
from shared.errors import UserError


class PointTooLarge(UserError):
    """A point asks for more than one run may have; others of its space may be fine."""


def trial_spec(campaign: CampaignSpec, number: int, point: Point) -> Spec:
    """The spec of one trial. Raises `UserError` that names the parameter or the field of `base` which does not fit,
    `PointTooLarge` where all of it fits but is too much together."""
    kind = kind_named(campaign.kind)
    given = placed(campaign.base, campaign.space, point)
    if "name" in kind.spec.model_fields:
        given["name"] = f"{campaign.name}.t{number:05d}"
    try:
        return kind.spec.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if isinstance(too_large := first.get("ctx", {}).get("error"), TooLarge):
            words = f"This point is too large: {too_large}."
            raise PointTooLarge(words, remedy="If there are many of them, narrow the space.") from error
        raise _refused(campaign, point, [str(part) for part in first["loc"]], first["msg"]) from error


def _refused(campaign: CampaignSpec, point: Point, where: Sequence[str], words: str) -> UserError:
    """Says whose fault it is: of the searched parameter that lies there, else of `base`."""
    # a union names its variant in between: recipe.cnn1d.width is recipe.width
    places = {".".join(part for j, part in enumerate(where) if j not in {skip}) for skip in range(-1, len(where))}
    blamed = sorted(name for name in point if any(_touch(name, place) for place in places))
    message = words.removeprefix("Value error, ")
    if blamed:
        return UserError(
            f"space.{blamed[0]}: {message} (at {point[blamed[0]]!r}).",
            remedy=f"Change its range, or when it is searched, so that every point fits a spec of {campaign.kind}.",
        )
    return UserError(f"base.{'.'.join(where) or '*'}: {message}.", remedy="Correct this field of `base`.")


def _touch(name: str, place: str) -> bool:
    return bool(place) and (name == place or name.startswith(f"{place}.") or place.startswith(f"{name}."))


def measured(
    objectives: Sequence[Objective], limits: Sequence[Limit], result: Mapping[str, Any]
) -> tuple[list[float], list[float]]:
    """The values of the objectives, and by how much each limit is broken (above 0). Raises `ValueError` for what is
    not a finite number."""
    scores = [_number(result, objective.result) for objective in objectives]
    return scores, [_violation(limit, _number(result, limit.result)) for limit in limits]


def _number(result: Mapping[str, Any], place: str) -> float:
    try:
        value = found_at(result, place)
    except KeyError:
        raise ValueError(f"the result has no {place!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{place} is not a number: {value!r}")
    return float(value)


def _violation(limit: Limit, value: float) -> float:
    above = value - limit.max if limit.max is not None else -math.inf
    below = limit.min - value if limit.min is not None else -math.inf
    return max(above, below)


def last_reported(reports: Mapping[str, float]) -> list[float] | None:
    """The score of a pruned trial: what it reported last, by step."""
    return [reports[max(reports, key=int)]] if reports else None


def is_allowed(violations: Sequence[float] | None) -> bool:
    """Whether a trial keeps to every limit."""
    return all(violation <= 0 for violation in violations or [])


def better(objectives: Sequence[Objective], one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` dominates `other`: nowhere worse, somewhere better."""
    signs = [1.0 if objective.goal == "maximize" else -1.0 for objective in objectives]
    gains = [sign * (a - b) for sign, a, b in zip(signs, one, other, strict=True)]
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


def joined(
    objectives: Sequence[Objective], front: list[list[Any]], number: int, scores: Sequence[float]
) -> list[list[Any]] | None:
    """The front, [number, scores] by number, with an allowed trial on it. None: others are as good or better."""
    if any(list(scores) == other or better(objectives, other, scores) for _number, other in front):
        return None
    kept = [[n, other] for n, other in front if not better(objectives, scores, other)]
    return sorted([*kept, [number, list(scores)]])


def winner(objectives: Sequence[Objective], front: list[list[Any]]) -> tuple[int, list[float]] | None:
    """The best trial: of several on the front the one that is best by the first objective."""
    sign = 1.0 if objectives[0].goal == "maximize" else -1.0
    best = max(front, key=lambda entry: (sign * entry[1][0], -entry[0]), default=None)
    return None if best is None else (best[0], list(best[1]))

"""What can be known to be wrong with a campaign before it begins: refused at submit, with the place and the remedy."""

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from shared.campaigns.trials import PointTooLarge, trial_spec
from shared.contracts.campaigns import CampaignSpec, CmaEs, Gp, Nsga2, Sampler, Tpe
from shared.contracts.kinds import kind_named
from shared.contracts.space import Categorical, Flat, flat, found_at, grid, samples
from shared.contracts.specs import Spec
from shared.errors import UserError
from shared.settings import Pool

_MOST_GRID = 100_000


def check(spec: CampaignSpec, pool: Pool) -> CampaignSpec:
    """The spec, with the size of its grid as its budget of trials if it has one.

    Raises `UserError` for a point that is no spec of the kind, results that the kind does not tell, a sampler that
    does not fit the space, and a budget that the pool does not count."""
    kind = kind_named(spec.kind)
    if "name" in spec.base:
        raise UserError("base.name: trials are named by the campaign.", remedy="Leave it out.")
    parameters = flat(spec.space)
    _check_base(spec)
    examples(spec)
    if kind.result is not None:
        for place, name in _results(spec):
            if not _has(kind.result, name.split(".")):
                known = ", ".join(_numbers(kind.result))
                raise UserError(f"{place}: a {spec.kind} does not return {name!r}.", remedy=f"Name one of: {known}.")
    _check_sampler(spec, parameters)
    _check_pool(spec, pool)
    if spec.sampler.type == "grid":
        points = len(grid(parameters, spec.budget.trials or _MOST_GRID))
        return spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": points})})
    return spec


def examples(campaign: CampaignSpec) -> list[Spec]:
    """Some points that touch every end of the space, as specs; those that are too large are left out.

    Raises `UserError` for a point that is no spec of the kind, and if all are too large: a corner that is too large
    is a trial that fails, should it be asked for."""
    found: list[Spec] = []
    refused: PointTooLarge | None = None
    for point in samples(flat(campaign.space)):
        try:
            found.append(trial_spec(campaign, 0, point))
        except PointTooLarge as error:
            refused = error
    if refused is not None and not found:
        raise refused
    return found


def _check_base(spec: CampaignSpec) -> None:
    for name in spec.space:
        try:
            found_at(spec.base, name)
        except KeyError:
            continue
        if not spec.space[name].when:
            raise UserError(
                f"base.{name}: it is searched, so this value would never be used.",
                remedy="Leave it out of `base`, or out of `space`.",
            )


def _results(spec: CampaignSpec) -> Iterator[tuple[str, str]]:
    for index, objective in enumerate(spec.objectives):
        yield f"objectives.{index}.result", objective.result
    for index, limit in enumerate(spec.constraints):
        yield f"constraints.{index}.result", limit.result


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from _models(part)


def _has(view: type[BaseModel], parts: list[str]) -> bool:
    field = view.model_fields.get(parts[0])
    if field is None:
        return False
    return len(parts) == 1 or any(_has(model, parts[1:]) for model in _models(field.annotation))


def _numbers(view: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in view.model_fields.items():
        inner = list(_models(field.annotation))
        if {int, float} & {field.annotation, *get_args(field.annotation)}:
            yield prefix + name
        for model in inner:
            yield from _numbers(model, f"{prefix}{name}.")


def _check_sampler(spec: CampaignSpec, parameters: list[Flat]) -> None:
    if spec.sampler.type == "cmaes":
        words = [parameter.name for parameter in parameters if isinstance(parameter.leaf, Categorical)]
        tied = [parameter.name for parameter in parameters if parameter.leaf.when]
        if words or tied or len(parameters) < 2:
            raise UserError(
                "sampler: cmaes takes two or more numbers, without conditions"
                + (f"; {(words + tied)[0]!r} is none." if words or tied else "."),
                remedy="Use tpe, or auto.",
            )


def _check_pool(spec: CampaignSpec, pool: Pool) -> None:
    if spec.budget.gpu_hours is not None and pool.resource_class != "gpu":
        raise UserError(
            f"budget.gpu_hours: pool {pool.name!r} has no GPUs, so nothing would be used up.",
            remedy="Name a pool of resource class gpu, or another budget.",
        )
    if spec.budget.cost is not None and pool.price_per_hour == 0:
        raise UserError(
            f"budget.cost: pool {pool.name!r} costs nothing, so nothing would be used up.",
            remedy="Let an operator set `price_per_hour` of the pool, or name another budget.",
        )


def chosen(spec: CampaignSpec) -> Sampler:
    """The sampler in use. `auto`: TPE, but NSGA-II for several objectives and trials enough for its generations, a
    Gaussian process for few trials over few numbers, CMA-ES for many trials over numbers only."""
    if spec.sampler.type != "auto":
        return spec.sampler
    parameters = flat(spec.space)
    trials = spec.budget.trials or 0
    plain = not any(parameter.leaf.when or isinstance(parameter.leaf, Categorical) for parameter in parameters)
    if len(spec.objectives) > 1:
        return Nsga2() if trials >= 20 * Nsga2().population else Tpe()
    if plain and 0 < trials <= 100 and len(parameters) <= 10:
        return Gp()
    if plain and trials >= 1000 and len(parameters) >= 2:
        return CmaEs()
    return Tpe()

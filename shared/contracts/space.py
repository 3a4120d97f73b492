"""A search space: which fields of a spec are searched, over what, and under which condition. Pure data, no sampler.

A parameter is named by the place of its field in the spec: `recipe.learning_rate`, `synthetic.snr_db.0`. `flat` lays a
space out as single parameters, each after those it depends on; `placed` writes a point of it into a spec.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract
from shared.errors import UserError

Place = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+){0,7}$", max_length=120)]
Scalar = bool | int | float | str | None
Choice = Scalar | list[Scalar]
Point = dict[str, Any]
_MOST_CHOICES = 200
MOST_PARAMETERS = 200
_ROUNDING = 1e-9  #: 0.25 + 0.1 is less than 0.1 away from 0.25


class _Searched(Contract):
    #: searched only where each of these parameters has one of the values; else the field stays as the spec has it
    when: dict[Place, list[Choice]] = Field(default_factory=dict, max_length=8)


class FloatRange(_Searched):
    """A real number in [low, high]."""

    type: Literal["float"] = "float"
    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _range(self) -> "FloatRange":
        _check_range(self.low, self.high, self.log)
        if self.log and self.step is not None:
            raise ValueError("step and log exclude each other; leave one out")
        if self.step is not None and self.step > (self.high - self.low) * (1 + _ROUNDING):
            raise ValueError(f"step must not be larger than high - low ({self.high - self.low:g})")
        return self


class IntRange(_Searched):
    """A whole number in [low, high]."""

    type: Literal["int"] = "int"
    low: int = Field(ge=-(2**53), le=2**53)
    high: int = Field(ge=-(2**53), le=2**53)
    log: bool = False
    step: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _range(self) -> "IntRange":
        _check_range(self.low, self.high, self.log)
        if self.log and self.step != 1:
            raise ValueError("step and log exclude each other; leave one out")
        if self.step > self.high - self.low:
            raise ValueError(f"step must not be larger than high - low ({self.high - self.low})")
        return self


class Categorical(_Searched):
    """One of some values, in no order."""

    type: Literal["categorical"] = "categorical"
    choices: list[Choice] = Field(min_length=1, max_length=_MOST_CHOICES)

    @model_validator(mode="after")
    def _each_once(self) -> "Categorical":
        if len({repr(choice) for choice in self.choices}) != len(self.choices):
            raise ValueError("choices: each may be named once")
        return self


Single = Annotated[FloatRange | IntRange | Categorical, Field(discriminator="type")]


class ListOf(_Searched):
    """A list of `length` items, each searched by itself: the layers of a network."""

    type: Literal["list"] = "list"
    length: tuple[int, int]
    item: dict[Place, Single] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _lengths(self) -> "ListOf":
        low, high = self.length
        if not 1 <= low <= high <= 32:
            raise ValueError("length must be [low, high] with 1 <= low <= high <= 32")
        return self


Parameter = Annotated[FloatRange | IntRange | Categorical | ListOf, Field(discriminator="type")]
Space = dict[Place, Parameter]
Leaf = FloatRange | IntRange | Categorical


def _check_range(low: float, high: float, log: bool) -> None:
    if not low < high:
        raise ValueError(f"low must be smaller than high, not {low:g} and {high:g}; for one value set it in `base`")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must begin above zero, not at {low:g}; raise low or set log to false")


@dataclass(frozen=True)
class Flat:
    """One parameter by itself."""

    name: str
    leaf: Leaf

    def active(self, point: Mapping[str, Any]) -> bool:
        """Whether it is searched at a point that holds the values of all parameters before it."""
        return all(name in point and _among(point[name], allowed) for name, allowed in self.leaf.when.items())


def _among(value: Any, allowed: list[Choice]) -> bool:
    """True is not 1, to people as little as to JSON."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def flat(space: Mapping[str, FloatRange | IntRange | Categorical | ListOf]) -> list[Flat]:
    """Single parameters, each after those that its condition names.

    Raises `UserError` for an empty space, one of too many parameters, and conditions on nothing, on a value that the
    other parameter never has, or in a circle."""
    if not space:
        raise UserError("space: it is empty.", remedy="Name at least one field of the spec and its range.")
    singles = {name: leaf for name, parameter in space.items() for name, leaf in _singles(name, parameter)}
    if len(singles) > MOST_PARAMETERS:
        raise UserError(
            f"space: {len(singles)} parameters are more than {MOST_PARAMETERS}.",
            remedy="Search fewer or shorter lists.",
        )
    for name, leaf in singles.items():
        for other, allowed in leaf.when.items():
            _check_condition(name, other, allowed, singles)
    ordered: dict[str, Flat] = {}
    waiting = dict(singles)
    while waiting:
        ready = [name for name, leaf in waiting.items() if all(other in ordered for other in leaf.when)]
        if not ready:
            raise UserError(
                f"space.{min(waiting)}.when: the conditions go in a circle ({', '.join(sorted(waiting))}).",
                remedy="Let one of them be searched without a condition.",
            )
        for name in ready:
            ordered[name] = Flat(name, waiting.pop(name))
    return list(ordered.values())


def length_name(place: str) -> str:
    """The parameter that holds how many items a searched list has."""
    return f"{place}.length"


def _singles(name: str, parameter: FloatRange | IntRange | Categorical | ListOf) -> Iterator[tuple[str, Leaf]]:
    if not isinstance(parameter, ListOf):
        yield name, parameter
        return
    low, high = parameter.length
    lengths = list(range(low, high + 1))
    yield length_name(name), Categorical(choices=[*lengths], when=parameter.when)
    for index in range(high):
        here = {length_name(name): [length for length in lengths if length > index]}
        for field, leaf in parameter.item.items():
            own = {f"{name}.{index}.{other}": allowed for other, allowed in leaf.when.items()}
            yield f"{name}.{index}.{field}", leaf.model_copy(update={"when": {**parameter.when, **here, **own}})


def _check_condition(name: str, other: str, allowed: list[Choice], singles: Mapping[str, Leaf]) -> None:
    place = f"space.{name}.when"
    if other not in singles:
        raise UserError(
            f"{place}: {other!r} is not searched, so nothing can depend on it.",
            remedy=f"Name one of: {', '.join(sorted(singles)[:12])}.",
        )
    if not allowed:
        raise UserError(f"{place}.{other}: no value is named.", remedy="Name the values for which it is searched.")
    never = [value for value in allowed if not contains(singles[other], value)]
    if never:
        raise UserError(f"{place}.{other}: {other!r} never is {never[0]!r}.", remedy="Name values that it can take.")


def contains(leaf: Leaf, value: Any) -> bool:
    """Whether a parameter can take a value."""
    if isinstance(leaf, Categorical):
        return any(choice == value and type(choice) is type(value) for choice in leaf.choices)
    if isinstance(value, bool) or not isinstance(value, int | float) or not leaf.low <= value <= leaf.high:
        return False
    if isinstance(leaf, IntRange) and value != int(value):
        return False
    if leaf.step is None:
        return True
    steps = (value - leaf.low) / leaf.step
    return math.isclose(steps, round(steps), abs_tol=1e-6)


def check_point(parameters: list[Flat], point: Mapping[str, Any], *, whole: bool = False) -> None:
    """Raises `UserError` for a value outside its range, a parameter that is not searched (there), or one missing."""
    known = {parameter.name for parameter in parameters}
    for name in point:
        if name not in known:
            raise UserError(
                f"params.{name}: it is not searched.", remedy=f"Name some of: {', '.join(sorted(known)[:12])}."
            )
    seen: Point = {}
    for parameter in parameters:
        if parameter.name in point:
            value = point[parameter.name]
            if not contains(parameter.leaf, value):
                raise UserError(
                    f"params.{parameter.name}: {value!r} is outside of the space.",
                    remedy=f"Choose from {described(parameter.leaf)}.",
                )
            if all(other in seen for other in parameter.leaf.when) and not parameter.active(seen):
                needed = ", ".join(f"{other} in {values}" for other, values in parameter.leaf.when.items())
                raise UserError(
                    f"params.{parameter.name}: it is not searched at this point.", remedy=f"It needs {needed}."
                )
            seen[parameter.name] = value
        elif whole and parameter.active(seen):
            raise UserError(f"params.{parameter.name}: it is missing.", remedy="Name every parameter of the point.")


def described(leaf: Leaf) -> str:
    """The range in words."""
    if isinstance(leaf, Categorical):
        return ", ".join(map(repr, leaf.choices[:12]))
    return f"{leaf.low:g} to {leaf.high:g}" + (f" in steps of {leaf.step:g}" if leaf.step else "")


def grid(parameters: list[Flat], limit: int) -> list[Point]:
    """Every combination of values, in order; conditions are heeded.

    Raises `UserError` for a parameter without a finite number of values, and for more than `limit` points."""
    for parameter in parameters:
        _values(parameter)
    points: list[Point] = [{}]
    for parameter in parameters:
        grown: list[Point] = []
        for point in points:
            grown += _with_each(parameter, point)
            if len(grown) > limit:
                raise UserError(
                    f"space: the grid has more than {limit} points, which is the budget of trials.",
                    remedy="Raise budget.trials, take longer steps or fewer values, or use another sampler.",
                )
        points = grown
    return points


def _with_each(parameter: Flat, point: Point) -> list[Point]:
    if not parameter.active(point):
        return [point]
    return [{**point, parameter.name: value} for value in _values(parameter)]


def _values(parameter: Flat) -> list[Any]:
    leaf = parameter.leaf
    if isinstance(leaf, Categorical):
        return list(leaf.choices)
    if leaf.step is None:
        raise UserError(
            f"space.{parameter.name}: a grid needs a finite number of values.",
            remedy="Give it a `step`, or make it categorical.",
        )
    count = _steps(leaf, leaf.step) + 1
    if count > 100_000:
        raise UserError(f"space.{parameter.name}: {count} values are too many for a grid.", remedy="Take longer steps.")
    return [_at(leaf, leaf.step, index) for index in range(count)]


def _steps(leaf: FloatRange | IntRange, step: float) -> int:
    """How many steps fit between the ends."""
    return math.floor((leaf.high - leaf.low) / step + _ROUNDING)


def _at(leaf: FloatRange | IntRange, step: float, index: int) -> float:
    """The value after so many steps; the last one may lie beyond the end by a rounding error."""
    return min(leaf.low + index * step, leaf.high)


def samples(parameters: list[Flat]) -> Iterator[Point]:
    """A few points that touch the ends of every range and every choice: whatever the spec refuses shows up in one."""
    ends = {parameter.name: _ends(parameter.leaf) for parameter in parameters}
    for index in range(max(map(len, ends.values()))):
        point: Point = {}
        for parameter in parameters:
            if parameter.active(point):
                values = ends[parameter.name]
                point[parameter.name] = values[index % len(values)]
        yield point
    deciding = {name for parameter in parameters for name in parameter.leaf.when}
    for combination in product(*(ends[name] for name in sorted(deciding))) if 0 < len(deciding) <= 3 else ():
        fixed = dict(zip(sorted(deciding), combination, strict=True))
        point = {}
        for parameter in parameters:
            if parameter.active(point):
                point[parameter.name] = fixed.get(parameter.name, ends[parameter.name][0])
        yield point


def _ends(leaf: Leaf) -> list[Any]:
    if isinstance(leaf, Categorical):
        return list(leaf.choices)
    return [leaf.low, leaf.high if leaf.step is None else _at(leaf, leaf.step, _steps(leaf, leaf.step))]


def placed(base: Mapping[str, Any], space: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """The spec at a point: `base` with the values of the point written in.

    Raises `UserError` for a place that cannot be in such a spec."""
    spec = copy.deepcopy(dict(base))
    for name, parameter in space.items():
        if isinstance(parameter, ListOf) and length_name(name) in point:
            _write(spec, name, [{} for _ in range(point[length_name(name)])], name)
    lengths = {length_name(name) for name, parameter in space.items() if isinstance(parameter, ListOf)}
    for name, value in point.items():
        if name not in lengths:
            _write(spec, name, value, name)
    return spec


def _write(spec: Any, place: str, value: Any, whole: str) -> None:
    head, _, rest = place.partition(".")
    if isinstance(spec, list):
        if not head.isdecimal() or int(head) >= len(spec):
            raise UserError(f"space.{whole}: the spec has no item {head!r} there.", remedy="Set the list in `base`.")
        key: Any = int(head)
    elif isinstance(spec, dict):
        key = head
    else:
        raise UserError(f"space.{whole}: the spec holds one value there.", remedy="Name a field that can be searched.")
    if not rest:
        spec[key] = value
        return
    if isinstance(spec, dict) and spec.get(key) is None:
        spec[key] = {}
    _write(spec[key], rest, value, whole)


def found_at(spec: Any, place: str) -> Any:
    """The value of a spec at a place. Raises `KeyError` where it has none."""
    for part in place.split("."):
        if isinstance(spec, list) and part == "length":
            spec = len(spec)
        elif isinstance(spec, list) and part.isdecimal() and int(part) < len(spec):
            spec = spec[int(part)]
        elif isinstance(spec, dict) and part in spec:
            spec = spec[part]
        else:
            raise KeyError(place)
    return spec

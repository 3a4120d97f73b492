"""Search spaces by properties: a point goes into a spec and comes out as it was, and a grid is every combination."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.campaigns.warm import point_of
from shared.contracts.space import (
    Categorical,
    Flat,
    FloatRange,
    IntRange,
    Leaf,
    ListOf,
    check_point,
    contains,
    flat,
    grid,
    placed,
    samples,
)
from shared.errors import UserError

_WORDS = st.text("abc", min_size=1, max_size=2)
_CHOICES = st.lists(st.one_of(st.integers(0, 3), st.booleans(), _WORDS), min_size=1, max_size=4, unique_by=repr)


@st.composite
def ints(draw: st.DrawFn) -> IntRange:
    low = draw(st.integers(-20, 20))
    step = draw(st.integers(1, 4))
    return IntRange(low=low, high=low + draw(st.integers(step, 12)), step=step)


@st.composite
def floats(draw: st.DrawFn) -> FloatRange:
    low = draw(st.integers(-8, 8)) / 4
    step = draw(st.sampled_from([0.25, 0.5, 0.1]))
    return FloatRange(low=low, high=low + step * draw(st.integers(1, 6)), step=step)


leaves = st.one_of(ints(), floats(), st.builds(Categorical, choices=_CHOICES))


def values(leaf: Leaf) -> list[Any]:
    """Every value of a parameter, counted out."""
    if isinstance(leaf, Categorical):
        return list(leaf.choices)
    assert leaf.step is not None
    found: list[Any] = []
    while leaf.low + len(found) * leaf.step <= leaf.high + 1e-9:
        found.append(min(leaf.low + len(found) * leaf.step, leaf.high))
    return found


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Leaf | ListOf]:
    """A few parameters, some of them under a condition, in any order."""
    names = draw(st.lists(st.sampled_from(["a", "b.c", "b.d", "e.f.g", "h"]), min_size=1, max_size=4, unique=True))
    space: dict[str, Leaf | ListOf] = {}
    for index, name in enumerate(names):
        leaf = draw(leaves)
        if index and draw(st.booleans()):
            other = draw(st.sampled_from(names[:index]))
            before = space[other]
            assert not isinstance(before, ListOf)
            allowed = draw(st.lists(st.sampled_from(values(before)), min_size=1, max_size=2, unique_by=repr))
            leaf = leaf.model_copy(update={"when": {other: allowed}})
        space[name] = leaf
    if draw(st.booleans()):
        item = {"width": draw(ints()), "kind": draw(st.builds(Categorical, choices=_CHOICES))}
        space["layers"] = ListOf(type="list", length=(1, draw(st.integers(1, 3))), item=item)
    return dict(draw(st.permutations(list(space.items()))))


@st.composite
def points(draw: st.DrawFn, parameters: list[Flat]) -> dict[str, Any]:
    """A whole point of a space."""
    point: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.active(point):
            point[parameter.name] = draw(st.sampled_from(values(parameter.leaf)))
    return point


@given(st.data(), spaces())
def test_a_point_comes_out_of_its_spec_as_it_went_in(data: st.DataObject, space: dict[str, Leaf | ListOf]) -> None:
    parameters = flat(space)
    point = data.draw(points(parameters))
    base = {"untouched": [1, {"x": 2}]}
    spec = placed(base, space, point)
    assert point_of(parameters, spec) == point
    assert spec["untouched"] == base["untouched"]
    assert base == {"untouched": [1, {"x": 2}]}
    check_point(parameters, point, whole=True)


@given(leaves)
def test_a_parameter_takes_each_of_its_values_and_none_between_or_beyond(leaf: Leaf) -> None:
    found = values(leaf)
    assert all(contains(leaf, value) for value in found)
    assert not contains(leaf, "no such word")
    if isinstance(leaf, Categorical):
        return
    assert leaf.step is not None
    assert not contains(leaf, found[0] - leaf.step)
    assert not contains(leaf, found[-1] + leaf.step)
    assert not contains(leaf, found[0] + leaf.step / 2)
    assert not contains(leaf, True)


@given(st.sampled_from([0, 1, True, False, 0.0, 1.0]), st.sampled_from([0, 1, True, False, 0.0, 1.0]))
def test_of_choices_that_are_equal_only_the_one_of_the_same_type_is_meant(one: Any, other: Any) -> None:
    assert contains(Categorical(choices=[one]), other) == (one == other and type(one) is type(other))


@given(spaces())
def test_every_parameter_comes_after_those_that_its_condition_names(space: dict[str, Leaf | ListOf]) -> None:
    seen: set[str] = set()
    for parameter in flat(space):
        assert set(parameter.leaf.when) <= seen
        seen.add(parameter.name)
    for name, leaf in space.items():
        assert (f"{name}.length" if isinstance(leaf, ListOf) else name) in seen


def _combined(space: Mapping[str, Leaf], parameters: list[Flat]) -> set[str]:
    """Every combination, with what is not searched there left out; by itself, not as `grid` goes about it."""
    names = [parameter.name for parameter in parameters]
    found = set()
    for combination in product(*(values(space[name]) for name in names)):
        point: dict[str, Any] = {}
        for name, value in zip(names, combination, strict=True):
            conditions = space[name].when.items()
            if all(other in point and _meant(point[other], allowed) for other, allowed in conditions):
                point[name] = value
        found.add(repr(sorted(point.items())))
    return found


def _meant(value: Any, allowed: list[Any]) -> bool:
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


@given(spaces())
def test_a_grid_is_every_combination_once(space: dict[str, Leaf | ListOf]) -> None:
    parameters = flat(space)
    points_ = grid(parameters, 10**7) if "layers" not in space else []
    told = [repr(sorted(point.items())) for point in points_]
    assert len(set(told)) == len(told)
    if "layers" not in space:
        single = {name: leaf for name, leaf in space.items() if not isinstance(leaf, ListOf)}
        assert set(told) == _combined(single, parameters)


@given(st.integers(1, 3), st.integers(2, 4))
def test_a_grid_of_a_list_holds_each_length_with_each_of_its_items(longest: int, choices: int) -> None:
    item = {"width": Categorical(choices=[*range(choices)])}
    points_ = grid(flat({"layers": ListOf(type="list", length=(1, longest), item=item)}), 10**6)
    assert len(points_) == sum(choices**length for length in range(1, longest + 1))


@given(spaces())
def test_a_grid_that_is_larger_than_its_limit_is_refused(space: dict[str, Leaf | ListOf]) -> None:
    single = flat({name: leaf for name, leaf in space.items() if not isinstance(leaf, ListOf)} or {"a": IntRange(
        low=0, high=1)})  # fmt: skip
    count = len(grid(single, 10**7))
    assert len(grid(single, count)) == count
    if count > 1:
        with pytest.raises(UserError, match="grid"):
            grid(single, count - 1)


@given(spaces())
def test_the_samples_are_points_of_the_space_and_touch_every_unconditioned_end(
    space: dict[str, Leaf | ListOf],
) -> None:
    parameters = flat(space)
    found = list(samples(parameters))
    for point in found:
        check_point(parameters, point, whole=True)
    for name, leaf in space.items():
        if not isinstance(leaf, ListOf) and not leaf.when:
            ends = leaf.choices if isinstance(leaf, Categorical) else [values(leaf)[0], values(leaf)[-1]]
            assert all(any(point[name] == end for point in found) for end in ends)


def test_true_is_not_one_to_a_condition() -> None:
    [_a, b] = flat({"a": Categorical(choices=[True, 1]), "b": IntRange(low=0, high=3, when={"a": [1]})})
    assert b.active({"a": 1})
    assert not b.active({"a": True})

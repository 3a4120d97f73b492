"""What is measured: variants that take turns, figures read off them, and whether a figure reaches its goal."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.bench.world import Size, World

#: One measurement: metric -> value.
Sample = Mapping[str, float]
Variant = Callable[[], Sample]


@dataclass(frozen=True)
class Figure:
    """One line of the table: a metric of one variant, beside the same metric of its peer.

    `goal` bounds the ratio to the peer, `limit` the value itself; without either the figure is only stated.
    """

    name: str
    unit: str
    metric: str
    ours: str
    peer: str | None = None
    goal: float | None = None
    limit: float | None = None
    at_least: bool = False  #: the bound is a least, else a most
    peer_metric: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """Variants that are measured in turn in one world, and the figures read off them."""

    name: str
    #: builds what the variants need; they run inside
    prepare: Callable[[World, Size], AbstractContextManager[Mapping[str, Variant]]]
    figures: Sequence[Figure]
    most_repeats: int | None = None  #: for what takes long and hardly varies


@dataclass(frozen=True)
class Result:
    """A figure as measured: medians over the repeats; `spread` is the least and the most of what is judged."""

    name: str
    value: float
    unit: str
    peer: str | None
    peer_value: float | None
    ratio: float | None
    at_least: bool
    goal: float | None
    limit: float | None
    ok: bool | None
    repeats: int
    spread: tuple[float, float]
    at: str
    version: str
    samples: list[float] = field(default_factory=list)  #: what is judged, of each repeat

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self)


def judge(figure: Figure, samples: Mapping[str, Sequence[Sample]], at: str, version: str) -> Result:
    """Medians of value, peer and of the ratio of each repeat; only pairs of one repeat are compared."""
    values = [sample[figure.metric] for sample in samples[figure.ours]]
    peers = None
    if figure.peer is not None:
        peers = [sample[figure.peer_metric or figure.metric] for sample in samples[figure.peer]]
    ratios = [value / peer for value, peer in zip(values, peers, strict=True)] if peers else None
    judged = ratios if ratios is not None and figure.limit is None else values
    bound = figure.goal if figure.limit is None else figure.limit
    ok = None
    if bound is not None:
        ok = median(judged) >= bound if figure.at_least else median(judged) <= bound
    return Result(
        name=figure.name,
        value=median(values),
        unit=figure.unit,
        peer=figure.peer,
        peer_value=median(peers) if peers else None,
        ratio=median(ratios) if ratios else None,
        at_least=figure.at_least,
        goal=figure.goal,
        limit=figure.limit,
        ok=ok,
        repeats=len(values),
        spread=(min(judged), max(judged)),
        at=at,
        version=version,
        samples=judged,
    )

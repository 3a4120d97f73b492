"""Runs benchmarks: variants of one benchmark take turns, in another order each time, so that load hits all alike."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from shared.version import VERSION
from tests.bench.figures import Benchmark, Result, Sample, judge
from tests.bench.world import Size, World

#: told before each measurement: benchmark, variant, steps done, steps in all
Watch = Callable[[str, str, int, int], None]


def repeats_of(benchmark: Benchmark, repeats: int) -> int:
    """How often its variants are measured."""
    return min(repeats, benchmark.most_repeats or repeats)


def measure(world: World, benchmark: Benchmark, size: Size, repeats: int, watch: Watch) -> Iterator[Result]:
    """Every figure of one benchmark."""
    with benchmark.prepare(world, size) as variants:
        names = list(variants)
        samples: dict[str, list[Sample]] = {name: [] for name in names}
        for repeat in range(repeats):
            for index in range(len(names)):
                name = names[(index + repeat) % len(names)]
                watch(benchmark.name, name, repeat * len(names) + index, repeats * len(names))
                samples[name].append(variants[name]())
    at = datetime.now(UTC).isoformat(timespec="seconds")
    yield from (judge(figure, samples, at, VERSION) for figure in benchmark.figures)


def measure_all(
    world: World, benchmarks: Sequence[Benchmark], size: Size, repeats: int, watch: Watch
) -> Iterator[Result]:
    """Every figure of all benchmarks, as they come."""
    for benchmark in benchmarks:
        yield from measure(world, benchmark, size, repeats_of(benchmark, repeats), watch)

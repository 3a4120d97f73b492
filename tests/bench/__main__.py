"""Measure speed: `python -m tests.bench [--only path,start] [--repeats 5] [--quick]`.

Every peer is measured in the same run, taking turns with us. Ratios count; absolute figures are this machine's.
"""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

import orjson
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench.benchmarks import ALL
from tests.bench.figures import Benchmark, Result
from tests.bench.run import measure_all, repeats_of
from tests.bench.show import table
from tests.bench.world import QUICK, Size, world

_WIDTH = 150  #: a table that wraps is no table


def main(argv: list[str] | None = None) -> int:
    """Measure, write, show. 1 if a goal is missed and `--strict` was given."""
    asked = _arguments(argv)
    chosen = [benchmark for benchmark in ALL if not asked.only or benchmark.name in asked.only]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console(stderr=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)
        with _bar(console) as bar, world(Path(folder)) as made:
            job = bar.add_task("starting", total=sum(repeats_of(benchmark, asked.repeats) for benchmark in chosen))
            _follow(bar, job, chosen, asked, made, results)
    _write(asked.out, results)
    out = Console()
    Console(width=max(out.width, _WIDTH)).print(table(results))
    return int(asked.strict and any(result.ok is False for result in results))


def _follow(bar, job, chosen: list[Benchmark], asked, made, results: list[Result]) -> None:
    done = 0.0
    for benchmark in chosen:
        repeats = repeats_of(benchmark, asked.repeats)

        def watch(name: str, variant: str, step: int, steps: int, repeats: int = repeats, done: float = done) -> None:
            bar.update(job, description=f"{name}: {variant}", completed=done + repeats * step / steps)

        results += measure_all(made, [benchmark], QUICK if asked.quick else Size(), asked.repeats, watch)
        done += repeats
        bar.update(job, completed=done)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<40}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _write(path: Path, results: list[Result]) -> None:
    """Figures that were not measured this time stay as they were."""
    before = orjson.loads(path.read_bytes()) if path.exists() else []
    new = {(result.name, result.peer): result.as_json() for result in results}
    kept = [item for item in before if (item["name"], item["peer"]) not in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps([*kept, *new.values()], option=orjson.OPT_INDENT_2))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    names = [benchmark.name for benchmark in ALL]
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help=f"some of: {', '.join(names)}")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each variant (default 5)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the harness work?")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if a goal is missed")
    parser.add_argument("--out", type=Path, default=Path(".faultline/bench.json"), help="where the figures go")
    asked = parser.parse_args(argv)
    unknown = set(asked.only) - set(names)
    if unknown or asked.repeats < 1:
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}" if unknown else "--repeats must be 1 or more")
    return asked


if __name__ == "__main__":
    sys.exit(main())

"""The harness works: tiny sizes, and no word about speed."""

from pathlib import Path

import orjson
import pytest

from tests.bench.__main__ import main
from tests.bench.benchmarks import ALL
from tests.bench.figures import Figure, judge
from tests.bench.show import number


@pytest.mark.timeout(300)
def test_a_benchmark_with_its_peer_runs_through_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert main(["--quick", "--repeats", "2", "--only", "start", "--out", str(out)]) == 0
    p50, p99 = orjson.loads(out.read_bytes())
    assert (p50["name"], p50["peer"], p50["goal"], p50["repeats"]) == ("start latency p50", "bare Celery", 2.0, 2)
    assert p99["value"] >= p50["value"] > 0
    assert p50["spread"][0] <= p50["ratio"] <= p50["spread"][1]
    assert "start latency p99" in capsys.readouterr().out


def test_figures_that_are_not_measured_again_stay_in_the_file(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    out.write_bytes(orjson.dumps([{"name": "earlier", "peer": None, "value": 1.0}]))
    assert main(["--quick", "--repeats", "1", "--only", "listing", "--out", str(out)]) == 0
    assert [item["name"] for item in orjson.loads(out.read_bytes())] == ["earlier", "page of 100,000 runs, p95"]


def test_a_ratio_is_taken_within_each_repeat() -> None:
    figure = Figure("rate", "1/s", "per_s", "ours", "peer", 0.5, at_least=True)
    ours, peer = (
        [{"per_s": 50.0}, {"per_s": 60.0}, {"per_s": 900.0}],
        [{"per_s": 100.0}, {"per_s": 100.0}, {"per_s": 1800.0}],
    )
    result = judge(figure, {"ours": ours, "peer": peer}, "now", "1")
    assert (result.ratio, result.spread, result.ok) == (0.5, (0.5, 0.6), True)


def test_a_limit_bounds_the_value_and_not_the_ratio() -> None:
    figure = Figure("wait", "s", "s", "ours", "peer", limit=1.0)
    result = judge(figure, {"ours": [{"s": 2.0}], "peer": [{"s": 4.0}]}, "now", "1")
    assert (result.ratio, result.ok) == (0.5, False)


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "pathh"])
    assert "no benchmark named pathh" in capsys.readouterr().err


def test_every_figure_has_a_name_of_its_own() -> None:
    names = [(figure.name, figure.peer) for benchmark in ALL for figure in benchmark.figures]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (0.6543, "0.654"), (12345.6, "12,346"), (2.0, "2")])
def test_numbers_have_three_digits_that_count(value: float | None, shown: str) -> None:
    assert number(value) == shown

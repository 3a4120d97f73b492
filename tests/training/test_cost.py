"""A model says what it costs, and the numbers are those of pencil and paper."""

from types import SimpleNamespace

import pytest

from services.training import cost
from services.training.cost import median_s
from services.training.models import Setup
from services.training.models.cnn1d import Cnn1d
from services.training.training import train_model
from shared.contracts.specs import Cnn1dRecipe, RandomForestRecipe, TrainingSpec
from tests.training.support import RecordingReporter, tiny_records

FOREST = RandomForestRecipe(trees=20)
NETWORK = Cnn1dRecipe(epochs=1, batch_size=16, width=4)


@pytest.mark.parametrize("recipe", [FOREST, NETWORK], ids=lambda recipe: recipe.type)
def test_a_result_tells_the_cost_of_the_model_that_was_kept(bench, recipe):
    spec = TrainingSpec(name="m", dataset_id=bench.add_dataset(tiny_records()), recipe=recipe, window_s=0.2)
    result = train_model(spec, RecordingReporter(), bench.artifacts("m"))
    told, files = result.cost, bench.files("m")
    assert told is not None
    (weights,) = [name for name in files if name.startswith("model.") and name != "model.json"]
    assert told.file_bytes == len(files[weights])
    assert told.parameters == result.parameters
    assert (told.flops is None) == (recipe.type == "rf")
    assert told.latency_ms > 0


def test_operations_and_parameters_of_a_small_network_are_those_counted_by_hand():
    model = Cnn1d(NETWORK, Setup(("a", "b", "c"), ("x",), 400, 2000.0, None, seed=7))
    # 400 samples: 51 after the filters, 25 after their mean of two, then 13, 7 and 4.
    operations = [51 * 4 * 32, 13 * 8 * 4 * 25, 7 * 16 * 8 * 15, 4 * 16 * 16 * 9, 16 * 3]
    assert model.flops(1, 400) == 2 * sum(operations)
    weights = [4 * 32, 8 * 4 * 25, 16 * 8 * 15, 16 * 16 * 9, 16 * 3 + 3]
    scales_and_shifts = 2 * (4 + 8 + 16 + 16)
    assert model.parameters() == sum(weights) + scales_and_shifts


def test_measuring_takes_less_than_half_a_second_and_its_median_forgives_slow_calls(monkeypatch):
    now, lasts = [0.0], [0.005, 0.005, 0.005, 0.03]
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def call() -> None:
        lasts.append(lasts.pop(0))
        now[0] += lasts[-1]

    assert median_s(call) == pytest.approx(0.005)
    assert now[0] < 0.5

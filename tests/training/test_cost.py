"""A model says what it costs, and the numbers are those of pencil and paper."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.training import cost
from services.training.cost import median_s
from services.training.models import Setup, new_model
from services.training.models.cnn1d import Cnn1d
from services.training.training import train_model
from shared.contracts.results import TrainingResult
from shared.contracts.specs import Cnn1dRecipe, ConvNetRecipe, RandomForestRecipe, TrainingSpec
from tests.training.support import RecordingReporter, tiny_records

FOREST = RandomForestRecipe(trees=20)
NETWORK = Cnn1dRecipe(epochs=1, batch_size=16, width=4)
SHAPE = ConvNetRecipe.model_validate({"epochs": 1, "batch_size": 16, "blocks": [{"width": 8}]})
FAULTS = 3
SETUP = Setup(("a", "b", "c"), ("x",), 400, 2000.0, None, seed=7)


def convnet(*blocks: dict[str, Any], **fields: Any) -> ConvNetRecipe:
    """Stem of 4 bands, stride 8: 50 steps, 25 after their energy."""
    return ConvNetRecipe.model_validate({"stem": {"width": 4}, "blocks": list(blocks), **fields})


#: Multiply-adds and weights (convolution and two per channel of a normalisation) of what every network here has.
STEM_MACS, STEM_WEIGHTS = 4 * 32 * 50, 4 * 32 + 2 * 4


@pytest.mark.parametrize("recipe", [FOREST, NETWORK, SHAPE], ids=lambda recipe: recipe.type)
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
    model = Cnn1d(NETWORK, SETUP)
    # 400 samples: 51 after the filters, 25 after their mean of two, then 13, 7 and 4.
    operations = [51 * 4 * 32, 13 * 8 * 4 * 25, 7 * 16 * 8 * 15, 4 * 16 * 16 * 9, 16 * 3]
    assert model.flops(1, 400) == 2 * sum(operations)
    weights = [4 * 32, 8 * 4 * 25, 16 * 8 * 15, 16 * 16 * 9, 16 * 3 + 3]
    scales_and_shifts = 2 * (4 + 8 + 16 + 16)
    assert model.parameters() == sum(weights) + scales_and_shifts


def test_operations_and_weights_of_a_plain_network_are_those_counted_by_hand():
    model = new_model(convnet({"width": 8, "kernel": 5, "stride": 2}), SETUP)
    assert model.flops(1, 400) == 2 * (STEM_MACS + 8 * 4 * 5 * 13 + 8 * FAULTS)
    assert model.parameters() == STEM_WEIGHTS + 8 * 4 * 5 + 2 * 8 + 8 * FAULTS + FAULTS


def test_shortcuts_and_attention_are_counted_too():
    residual = {"type": "residual", "width": 8, "kernel": 5, "stride": 2, "attention": "temporal"}
    separable = {"type": "separable", "width": 16, "kernel": 3, "attention": "squeeze"}
    model = new_model(convnet(residual, separable), SETUP)
    convolutions, shortcut = (8 * 4 * 5 + 8 * 8 * 5), 8 * 4
    query, key, value = 4 * 8, 4 * 8, 8 * 8
    depthwise, pointwise, squeeze = 8 * 3, 16 * 8, 2 * 4 * 16
    weights = convolutions + shortcut + query + key + value + depthwise + pointwise
    attended = 13 * 13 * (4 + 8)
    assert model.flops(1, 400) == 2 * (STEM_MACS + 13 * weights + attended + squeeze + 16 * FAULTS)
    norms, biases = 3 * 2 * 8 + 2 * 16, 4 + 16 + FAULTS
    assert model.parameters() == STEM_WEIGHTS + weights + squeeze + norms + biases + 16 * FAULTS


def test_measuring_takes_less_than_half_a_second_and_its_median_forgives_slow_calls(monkeypatch):
    now, lasts = [0.0], [0.005, 0.005, 0.005, 0.03]
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def call() -> None:
        lasts.append(lasts.pop(0))
        now[0] += lasts[-1]

    assert median_s(call) == pytest.approx(0.005)
    assert now[0] < 0.5


def test_a_result_from_before_costs_were_measured_is_read():
    split: dict[str, Any] = {"by": "unit", "held_out": [], "shared_units": [], "badge": "unseen units"}
    for side in ("train_records", "validation_records", "test_records", "train_units", "test_units"):
        split[side] = 1
    numbers = ["parameters", "epochs", "best_epoch", "train_windows", "validation_windows"]
    numbers += ["validation_accuracy", "validation_macro_f1"]
    stored = {"model": "rf", "dataset": "d", "faults": [], "split": split, **dict.fromkeys(numbers, 1)}
    result = TrainingResult.model_validate(stored)
    assert (result.cost, result.synthetic_windows) == (None, 0)

"""A network whose shape is data: every shape learns and is stored, what does not fit is refused before it is built."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from services.training.models import Setup, convnet, new_model
from services.training.models.cnn1d import Cnn1d
from services.training.models.convnet import ConvNet, steps_per_layer
from shared.contracts.specs import MOST_PARAMETERS, Cnn1dRecipe, ConvBlock, ConvNetRecipe, ConvStem
from shared.errors import UserError
from shared.runs.body import RunStopped
from tests.training.support import RecordingReporter
from tests.training.test_cnn1d import ASKED, SETUP, TRAIN, VALIDATION, windows_of

TYPES = ("plain", "residual", "separable")
ATTENTIONS = ("none", "squeeze", "temporal")


def small(**fields: Any) -> ConvNetRecipe:
    """A few weights; with all types of blocks unless told otherwise."""
    blocks = [
        {"type": type, "width": 8, "kernel": 5, "stride": 2, "attention": attention}
        for type, attention in zip(TYPES, ATTENTIONS[::-1], strict=True)
    ]
    given = {"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "stem": {"width": 4}, "blocks": blocks, **fields}
    return ConvNetRecipe.model_validate(given)


@pytest.mark.parametrize("log_energy", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (4, 2), (5, 4), (8, 1)])
def test_every_type_of_block_leaves_as_many_steps_as_told(log_energy, kernel, stride):
    kinds = zip(TYPES, ATTENTIONS, (8, 8, 12), strict=True)
    blocks = [
        {"type": type, "width": width, "kernel": kernel, "stride": stride, "attention": attention}
        for type, attention, width in kinds
    ]
    recipe = small(stem={"width": 8, "stride": 3, "log_energy": log_energy}, blocks=blocks)
    steps = torch.randn(2, 1, 801)
    network = ConvNet(recipe, Setup(**{**SETUP.__dict__, "window_samples": 801})).network
    seen = []
    for layer in (network.stem, *network.blocks):
        steps = layer(steps)
        seen.append(steps.shape[-1])
    assert seen == steps_per_layer(recipe, 801)
    assert steps.shape[1] == 12


def test_every_weight_of_every_shape_receives_a_gradient():
    for type, attention, pooling in itertools.product(TYPES, ATTENTIONS, ("mean", "max")):
        block = {"type": type, "width": 8, "kernel": 5, "stride": 2, "attention": attention}
        model = ConvNet(small(blocks=[block], pooling=pooling), SETUP)
        logits = model.network(torch.from_numpy(TRAIN.batch_NCL(np.arange(len(TRAIN)))))
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(TRAIN.label_N)).backward()
        for name, weight in model.network.named_parameters():
            assert weight.grad is not None and weight.grad.abs().sum() > 0, (type, attention, name)


def test_the_faults_are_learned(bench):
    blocks = [
        {"type": type, "width": 16, "kernel": 15, "stride": 1, "attention": attention}
        for type, attention in zip(TYPES, ATTENTIONS, strict=True)
    ]
    recipe = small(epochs=8, batch_size=16, stem={"width": 16, "stride": 4}, blocks=blocks)
    fit = ConvNet(recipe, SETUP).fit(windows_of(3, 40_000), VALIDATION, RecordingReporter(), bench.artifacts("learn"))
    assert fit.validation_accuracy > 0.85


@pytest.mark.parametrize("stop_at", [1, 4, 5, 10, 16])
def test_a_resumed_run_equals_one_that_never_stopped_to_the_digit(bench, stop_at):
    """It may stop before each batch, within validation, and so between any two epochs."""
    whole = ConvNet(small(), SETUP)
    whole_fit = whole.fit(TRAIN, VALIDATION, RecordingReporter(), bench.artifacts("whole"))
    stopped = RecordingReporter(stop_at=stop_at)
    with pytest.raises(RunStopped):
        ConvNet(small(), SETUP).fit(TRAIN, VALIDATION, stopped, bench.artifacts("part"))
    assert len(stopped.points) == (stop_at - 1) // ASKED
    resumed = ConvNet(small(), SETUP)
    fit = resumed.fit(TRAIN, VALIDATION, RecordingReporter(), bench.artifacts("part", resume=True))
    assert fit.history == whole_fit.history
    assert np.array_equal(resumed.probability_NK(VALIDATION), whole.probability_NK(VALIDATION))


def test_every_epoch_tells_the_scores_that_a_search_prunes_by(bench):
    reporter = RecordingReporter()
    ConvNet(small(), SETUP).fit(TRAIN, VALIDATION, reporter, bench.artifacts("told"))
    assert [step for step, _ in reporter.points] == [1, 2, 3, 4]
    told = {"train_loss", "validation_loss", "validation_accuracy", "validation_macro_f1"}
    assert all(set(values) == told for _, values in reporter.points)


def test_weights_survive_a_file_and_another_shape_refuses_them(tmp_path):
    model = ConvNet(small(), SETUP)
    path = model.save(tmp_path)
    again = ConvNet(small(), Setup(**{**SETUP.__dict__, "seed": 8}))
    again.load(path)
    assert np.array_equal(again.probability_NK(VALIDATION), model.probability_NK(VALIDATION))
    with pytest.raises(UserError, match="does not hold the weights"):
        ConvNet(small(stem={"width": 8}), SETUP).load(path)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"stem": {"kernel": 401}}, "recipe.stem: a kernel of 401 with stride 8 does not fit into 400 steps"),
        ({"blocks": [{"kernel": 25}, {"kernel": 26}]}, r"recipe.blocks.1: a kernel of 26 .* into 25 steps"),
        ({"blocks": [{"kernel": 1, "stride": 4}] * 4}, r"recipe.blocks.2: .* stride 4 does not fit into 2 steps"),
    ],
)
def test_a_shape_that_leaves_nothing_of_the_window_is_refused_with_the_place(fields, place):
    with pytest.raises(UserError, match=place) as caught:
        new_model(small(**fields), SETUP)
    assert "window_s" in caught.value.remedy


def test_a_stem_that_leaves_one_step_has_no_rhythm():
    with pytest.raises(UserError, match=r"recipe\.stem"):
        steps_per_layer(ConvNetRecipe(stem=ConvStem(stride=64)), 128)


def test_a_network_that_is_too_large_is_refused_when_it_is_asked_for():
    with pytest.raises(ValidationError, match=r"blocks: 268,431,360 weights, more than 20,000,000"):
        ConvNetRecipe(blocks=[ConvBlock(width=1024, kernel=255)] * 2, stem=ConvStem(width=4))


def test_what_attention_adds_is_counted_before_it_is_allocated():
    """Convolutions alone stay below the limit, so the recipe is taken; the network is not."""
    block = {"width": 1024, "kernel": 1, "attention": "temporal"}
    recipe = small(blocks=[block] * 12)
    weights = sum(b.convolution_weights(1024) for b in recipe.blocks)
    assert weights < MOST_PARAMETERS
    with pytest.raises(UserError, match=r"parameters, more than 20,000,000"):
        ConvNet(recipe, SETUP)


def test_a_batch_that_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(convnet, "memory_of_this_machine_bytes", lambda: 1 << 20)
    with pytest.raises(UserError, match="A batch takes about") as caught:
        ConvNet(small(batch_size=4096), SETUP)
    assert "batch_size" in caught.value.remedy


def test_the_default_shape_has_as_many_weights_as_the_fixed_network():
    setup = Setup(**{**SETUP.__dict__, "window_samples": 800})
    assert ConvNet(ConvNetRecipe(), setup).parameters() == Cnn1d(Cnn1dRecipe(), setup).parameters()

"""The network learns, from all of its weights, the same way each time, and a stop leaves no trace."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.training.models import Fit, Setup, network
from services.training.models.augment import augmented_NCL
from services.training.models.cnn1d import Cnn1d, Cnn1dNetwork
from services.training.windows import WindowSet, cut, whole
from shared.contracts.specs import Cnn1dRecipe
from shared.errors import Fatal, UserError
from shared.runs.body import RunStopped
from tests.training.support import FAULTS, SAMPLE_RATE_HZ, Bench, RecordingReporter, record_info, signal_CL

GOLDEN = Path(__file__).parent / "golden" / "cnn1d_seed7.txt"
RECIPE = Cnn1dRecipe(epochs=4, batch_size=8, width=4, learning_rate=3e-3)
SETUP = Setup(tuple(FAULTS), ("a",), 400, SAMPLE_RATE_HZ, None, seed=7)


def windows_of(seed: int, samples: int = 4000) -> WindowSet:
    """One record of every fault, a window every 400 samples."""
    pieces = [whole(record_info(f"{fault}-{seed}", fault, fault, samples=samples)) for fault in FAULTS]
    return cut(pieces, lambda record: signal_CL(record.fault, seed, samples), tuple(FAULTS), samples=400)


TRAIN, VALIDATION = windows_of(1), windows_of(2)


def trained(
    bench: Bench,
    run: str,
    reporter: RecordingReporter | None = None,
    resume: bool = False,
    recipe: Cnn1dRecipe = RECIPE,
) -> tuple[Cnn1d, Fit]:
    model = Cnn1d(recipe, SETUP)
    fit = model.fit(TRAIN, VALIDATION, reporter or RecordingReporter(), bench.artifacts(run, resume))
    return model, fit


def same_weights(first: Cnn1d, second: Cnn1d) -> bool:
    pairs = zip(first.network.state_dict().items(), second.network.state_dict().items(), strict=True)
    return all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)


def test_every_weight_receives_a_gradient():
    model = Cnn1d(RECIPE, SETUP)
    batch = np.arange(len(TRAIN))
    logits = model.network(torch.from_numpy(TRAIN.batch_NCL(batch)))
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(TRAIN.label_N)).backward()
    for name, weight in model.network.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_the_loss_falls_and_the_faults_are_learned(bench):
    recipe = Cnn1dRecipe(epochs=15, batch_size=16, width=16, learning_rate=3e-3)
    fit = Cnn1d(recipe, SETUP).fit(windows_of(3, 40_000), VALIDATION, RecordingReporter(), bench.artifacts("learn"))
    losses = [row["train_loss"] for row in fit.history]
    assert losses[-1] < 0.7 * losses[0]
    assert fit.validation_accuracy > 0.85


def test_shuffled_labels_cannot_be_validated(bench):
    """Labels and data belong together: with labels moved to other windows nothing carries over."""
    random = np.random.default_rng(1)
    shuffled = WindowSet(**{**TRAIN.__dict__, "label_N": random.permutation(TRAIN.label_N)})
    model = Cnn1d(Cnn1dRecipe(epochs=10, batch_size=8, width=4), SETUP)
    fit = model.fit(shuffled, VALIDATION, RecordingReporter(), bench.artifacts("shuffled"))
    assert fit.validation_accuracy < 0.7


def test_the_losses_of_seed_7_are_the_golden_ones(bench):
    """A refactor may not change a digit; another processor may round the last ones."""
    _, fit = trained(bench, "golden")
    golden = [float(line) for line in GOLDEN.read_text(encoding="utf-8").split()]
    assert [row["train_loss"] for row in fit.history] == pytest.approx(golden, abs=2e-4)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(bench):
    first, fit = trained(bench, "first")
    second, again = trained(bench, "second")
    assert same_weights(first, second)
    assert fit == again
    other = Cnn1d(RECIPE, Setup(**{**SETUP.__dict__, "seed": 8}))
    other.fit(TRAIN, VALIDATION, RecordingReporter(), bench.artifacts("other"))
    assert not same_weights(first, other)


#: Questions per epoch whether to stop: one for each of three batches, one for validation.
ASKED = 4


@pytest.mark.parametrize("stop_at", [1, 3, 4, 5, 8, 10, 16])
def test_a_resumed_run_equals_one_that_never_stopped_to_the_digit(bench, stop_at):
    whole_model, whole_fit = trained(bench, "whole")
    with pytest.raises(RunStopped):
        trained(bench, "stopped", RecordingReporter(stop_at=stop_at))
    reporter = RecordingReporter()
    resumed, fit = trained(bench, "stopped", reporter, resume=True)
    done = (stop_at - 1) // ASKED
    assert fit.resumed_from_step == (done or None)
    assert fit.history == whole_fit.history
    assert fit.best_epoch == whole_fit.best_epoch
    assert same_weights(resumed, whole_model)
    assert [step for step, _ in reporter.points] == list(range(done + 1, RECIPE.epochs + 1))


def test_a_run_that_stops_in_every_epoch_still_ends_the_same(bench):
    whole_model, whole_fit = trained(bench, "whole")
    fit = None
    for _ in range(RECIPE.epochs + 1):
        try:
            model, fit = trained(bench, "often", RecordingReporter(stop_at=ASKED + 2), resume=True)
        except RunStopped:
            continue
    assert fit is not None and fit.history == whole_fit.history
    assert same_weights(model, whole_model)


def test_every_epoch_is_told_and_leaves_a_checkpoint(bench):
    reporter = RecordingReporter()
    trained(bench, "told", reporter)
    steps = [put.step for put in bench.puts["told"] if put.role == "checkpoint"]
    assert steps == [step for step, _ in reporter.points] == [1, 2, 3, 4]
    assert {"train_loss", "validation_loss", "validation_accuracy"} <= set(reporter.points[0][1])
    assert reporter.fractions == sorted(reporter.fractions)
    assert len(set(reporter.fractions)) > RECIPE.epochs  # also within an epoch


def test_patience_ends_a_run_that_no_longer_improves_and_the_best_weights_are_kept(bench):
    recipe = Cnn1dRecipe(epochs=40, batch_size=8, width=4, learning_rate=0.5, patience=2)
    model, fit = trained(bench, "patience", recipe=recipe)
    assert fit.epochs == fit.best_epoch + 2 < 40
    best = min(row["validation_loss"] for row in fit.history)
    kept = model._scores(VALIDATION, RecordingReporter())
    assert kept["validation_loss"] == best == fit.history[fit.best_epoch - 1]["validation_loss"]


def test_a_loss_that_is_not_a_number_ends_the_training_with_words(bench):
    model = Cnn1d(RECIPE, SETUP)
    model.network.head.bias.data.fill_(torch.nan)
    with pytest.raises(UserError, match="not a number in epoch 1") as caught:
        model.fit(TRAIN, VALIDATION, RecordingReporter(), bench.artifacts("nan"))
    assert "learning_rate" in caught.value.remedy
    assert not bench.puts["nan"]  # no checkpoint to resume such a run from


def test_weights_that_diverge_in_the_last_step_are_noticed_by_validation(bench, monkeypatch):
    model = Cnn1d(RECIPE, SETUP)

    def diverging(*_: object) -> float:
        model.network.head.bias.data.fill_(torch.nan)
        return 1.0

    monkeypatch.setattr(model, "_train_epoch", diverging)
    with pytest.raises(UserError, match="not a number"):
        model.fit(TRAIN, VALIDATION, RecordingReporter(), bench.artifacts("nan"))


def test_one_epoch_is_enough_for_a_model(bench):
    _, fit = trained(bench, "one", recipe=Cnn1dRecipe(epochs=1, batch_size=8, width=4))
    assert (fit.epochs, fit.best_epoch, len(fit.history)) == (1, 1, 1)


def test_a_single_window_of_each_fault_validates(bench):
    tiny = windows_of(2, 400)
    assert len(tiny) == len(FAULTS)
    fit = Cnn1d(RECIPE, SETUP).fit(TRAIN, tiny, RecordingReporter(), bench.artifacts("tiny"))
    assert fit.validation_accuracy in (0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0)


def test_a_prediction_looks_whether_to_stop_within_long_windows(monkeypatch):
    monkeypatch.setattr(network, "PREDICT_SAMPLES", 800)
    told: list[float] = []
    Cnn1d(RECIPE, SETUP).probability_NK(VALIDATION, told.append)
    assert len(told) == len(VALIDATION) / 2 and told[-1] == 1.0


def test_weights_survive_a_file(bench, tmp_path):
    model, _ = trained(bench, "file")
    other = Cnn1d(RECIPE, SETUP)
    other.load(model.save(tmp_path))
    assert np.array_equal(other.probability_NK(VALIDATION), model.probability_NK(VALIDATION))


def test_a_file_that_holds_something_else_is_refused(bench, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04 not weights")
    with pytest.raises(UserError, match="does not hold the weights"):
        Cnn1d(RECIPE, SETUP).load(path)
    wide = Cnn1d(Cnn1dRecipe(width=8), SETUP).save(tmp_path)
    with pytest.raises(UserError, match="does not hold the weights"):
        Cnn1d(RECIPE, SETUP).load(wide)


def test_a_damaged_checkpoint_is_not_taken_for_a_fresh_start(bench):
    bench.artifacts("damaged").save_checkpoint(1, b"torn")
    with pytest.raises(Fatal, match="cannot be resumed"):
        trained(bench, "damaged", resume=True)


@pytest.mark.parametrize(("channels", "length"), [(1, 64), (3, 101), (2, 2400)])
def test_the_network_reads_any_number_of_channels_and_any_length(channels, length):
    network = Cnn1dNetwork(channels, 5, width=4, dropout=0.0)
    assert network(torch.randn(2, channels, length)).shape == (2, 5)


def test_augmentation_keeps_shape_and_scale_and_follows_its_seed():
    windows = torch.from_numpy(TRAIN.batch_NCL(np.arange(12)))
    changed = augmented_NCL(windows, np.random.default_rng(3))
    assert changed.shape == windows.shape and changed.dtype == torch.float32
    assert 0.5 < changed.std() < 1.6
    assert not torch.equal(changed, windows)
    assert torch.equal(changed, augmented_NCL(windows, np.random.default_rng(3)))

"""What the demo says of scores that an evaluation really gave: what was seen in training is told apart."""

from services.cli.demo.reading import reading
from services.training.evaluation import evaluate_model
from services.training.training import train_model
from shared.contracts.specs import EvaluationSpec, RandomForestRecipe, SplitSpec, TrainingSpec
from tests.training.support import Bench, RecordingReporter, tiny_records


def words(bench: Bench, split: SplitSpec, lone: str | None) -> str:
    """The paragraph for one forest; all records of the fault `lone` are blocks of one unit."""
    records = [
        {**record, "unit": "only", "labels": {}, "same_unit_block": True} if record["fault"] == lone else record
        for record in tiny_records()
    ]
    dataset_id = bench.add_dataset(records)
    recipe = RandomForestRecipe(trees=40)
    spec = TrainingSpec(name="m", dataset_id=dataset_id, recipe=recipe, split=split, window_s=0.2)
    train_model(spec, RecordingReporter(), bench.artifacts("m"))
    asked = EvaluationSpec(model_ids=[bench.add_model("m")], resamples=200)
    return reading({"rf": evaluate_model(asked, RecordingReporter(), bench.artifacts("e"))}, {}, "bearings")


def test_faults_whose_bearing_is_on_both_sides_are_not_counted_as_unseen(bench):
    text = words(bench, SplitSpec(by="size", held_out=["0"]), lone="healthy")
    assert "of 6 records; of those of faults with no bearing on both sides, for" in text
    assert " of 4. " in text  # two records of each of two faults


def test_nothing_is_told_apart_where_all_bearings_are_unseen(bench):
    assert "on both sides, for" not in words(bench, SplitSpec(by="size", held_out=["0"]), lone=None)

"""Whether trained models may be scored together, and on this dataset. Pure; called by `evaluation.py`.

Model files are read as if a stranger had written them: whatever does not fit is refused before anything is computed.
"""

from collections import Counter
from collections.abc import Sequence

from services.training.model_files import ModelCard, SplitFile
from services.training.windows import one_sample_rate_hz, window_samples
from shared.errors import UserError
from shared.signals.dataset import Dataset

REMEDY_FOLDS = "Evaluate models together only if they are folds of one experiment; otherwise one evaluation for each."
REMEDY_BLOCKS = " If a fault exists on one unit, import it with at least as many single_unit_blocks as there are folds."
REMEDY_TRAIN = "Train the model again on the present dataset."


def check_folds(cards: Sequence[ModelCard], splits: Sequence[SplitFile]) -> None:
    """Raise `UserError` unless the models can be pooled: same dataset, recipe and faults, disjoint test sides."""
    for what, values in (
        ("datasets", {card.dataset_digest for card in cards}),
        ("types of recipe", {card.recipe.type for card in cards}),
        ("faults", {tuple(card.faults) for card in cards}),
    ):
        if len(values) > 1:
            raise UserError(f"The models have different {what}.", remedy=REMEDY_FOLDS)
    seen = Counter(id for split in splits for id in split.test)
    twice = sorted(id for id, times in seen.items() if times > 1)
    if twice:
        raise UserError(
            f"Records on the test side of several models: {', '.join(twice[:10])}.",
            remedy=REMEDY_FOLDS + REMEDY_BLOCKS,
        )


def check_dataset(dataset: Dataset, card: ModelCard, split: SplitFile) -> None:
    """Raise `UserError` unless model and split belong to this dataset."""
    if dataset.digest != card.dataset_digest:
        raise UserError(
            f"Dataset {card.dataset_name!r} is not the one that the model was trained on.", remedy=REMEDY_TRAIN
        )
    rate_hz = one_sample_rate_hz(dataset.records)
    if wrong := [
        what
        for what, told, true in (
            ("faults", card.faults, sorted({record.fault for record in dataset.records})),
            ("channels", card.channels, dataset.channels),
            ("sampling rate", card.sample_rate_hz, rate_hz),
            ("window", card.window_samples, window_samples(card.window_s, rate_hz)),
        )
        if told != true
    ]:
        raise UserError(f"Model {card.name!r} does not fit its dataset: other {', '.join(wrong)}.", remedy=REMEDY_TRAIN)

    by_id = {record.id: record for record in dataset.records}
    sides = Counter(id for side in (split.train, split.validation, split.test) for id in side)
    if unknown := sorted(sides.keys() - by_id.keys()):
        raise UserError(f"The dataset has no record {unknown[0]!r}.", remedy=REMEDY_TRAIN)
    if twice := sorted(id for id, times in sides.items() if times > 1):
        raise UserError(f"Record {twice[0]!r} is on two sides of the split of {card.name!r}.", remedy=REMEDY_TRAIN)
    if untested := sorted(set(card.faults) - {by_id[id].fault for id in split.test}):
        raise UserError(f"The test side of {card.name!r} has no record of {untested[0]}.", remedy=REMEDY_TRAIN)
    if card.bearing is not None and any(by_id[id].shaft_speed_rpm is None for id in split.test):
        raise UserError(
            f"Model {card.name!r} needs a shaft speed for every record, and test records have none.",
            remedy="Import the records with shaft_speed_rpm, and train the model again.",
        )

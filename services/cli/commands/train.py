"""`faultline train`."""

from enum import StrEnum
from typing import Annotated

import typer

from services.cli.arguments import build, pairs, settings
from services.cli.outcome import Pool, Priority, Wait, Watch, follow_up
from services.cli.session import Session, with_session
from shared.contracts.specs import SplitSpec, TrainingSpec

Texts = list[str] | None


class ModelType(StrEnum):
    """Recipes."""

    CNN1D = "cnn1d"
    CONVNET = "convnet"
    RF = "rf"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the new model.", show_default=False)]
DatasetName = Annotated[
    str, typer.Option("--dataset", "-d", metavar="DATASET", help="Its name or id.", show_default=False)
]
Model = Annotated[ModelType, typer.Option("--model", "-m", help="Type of model.")]
SplitBy = Annotated[str, typer.Option(metavar="LABEL", help="`unit`, `record` or a label of the dataset.")]
HeldOut = Annotated[Texts, typer.Option(metavar="VALUE", help="Group kept from training (repeat); default: drawn.")]
TestFraction = Annotated[float | None, typer.Option(help="Share of groups to hold out where none is named.")]
ValidationFraction = Annotated[float | None, typer.Option(help="Share of the training groups to select by.")]
Settings = Annotated[Texts, typer.Option("--set", metavar="NAME=VALUE", help="Of the recipe, e.g. epochs=20 (repeat).")]
Synthetic = Annotated[
    Texts,
    typer.Option(
        "--synthetic",
        metavar="NAME=VALUE",
        help="Train on synthetic records too, e.g. mode=add or units_per_fault=12 (repeat).",
    ),
]
Window = Annotated[float | None, typer.Option(metavar="S", help="Length of a window in seconds.")]
Overlap = Annotated[float | None, typer.Option(help="Share a training window has in common with the next.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same model.")]
Labels = Annotated[Texts, typer.Option("--label", metavar="NAME=VALUE", help="Label of the run (repeat).")]


def _train(
    session: Session,
    name: Name,
    dataset: DatasetName,
    model: Model = ModelType.CNN1D,
    split_by: SplitBy = "unit",
    held_out: HeldOut = None,
    test_fraction: TestFraction = None,
    validation_fraction: ValidationFraction = None,
    set_: Settings = None,
    window: Window = None,
    overlap: Overlap = None,
    synthetic: Synthetic = None,
    seed: Seed = None,
    label: Labels = None,
    pool: Pool = None,
    priority: Priority = 0,
    wait: Wait = False,
    watch: Watch = False,
) -> None:
    """Train a model on a dataset, keeping a part of it unseen.

    Example: faultline train first --dataset cwru --model rf --split-by size_mils --held-out 014 --watch

    faultline train net -d cwru -m convnet --set 'blocks=[{"type": "residual", "width": 32}]' --synthetic mode=add
    """
    recipe = {"type": model.value, **settings(set_)}
    labels = pairs(label, "--label")
    split = build(
        SplitSpec,
        by=split_by,
        held_out=held_out or None,
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
    )
    made = settings(synthetic) or None
    fields = {"recipe": recipe, "split": split, "window_s": window, "overlap": overlap, "synthetic": made, "seed": seed}
    build(TrainingSpec, name=name, dataset_id="00000000-0000-0000-0000-000000000000", **fields)
    spec = build(TrainingSpec, name=name, dataset_id=session.client.dataset(dataset).id, **fields)
    run = session.client.submit("model.train", spec, pool=pool, priority=priority, labels=labels)
    follow_up(session, run, wait=wait, watching=watch)


train = with_session(_train)

"""The files of a trained model: `model.json` (what it is), its weights, `split.json` (who was trained on).

Nothing in them is code. Written by `training.py`; read by `evaluation.py` and by whoever serves the model.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import Field, ValidationError

from services.training.models import Model, Setup, new_model
from shared.contracts.base import View
from shared.contracts.results import SplitReport
from shared.contracts.specs import BearingGeometry, Recipe, SplitSpec, SyntheticSpec
from shared.errors import UserError

MODEL_NAME = "model.json"
SPLIT_NAME = "split.json"
HISTORY_NAME = "history.json"

T = TypeVar("T", bound=View)


class ModelCard(View):
    """Content of `model.json`."""

    format: Literal["faultline-model"] = "faultline-model"
    version: Literal[1] = 1
    name: str
    recipe: Recipe
    weights: str  #: name of the file that holds them
    faults: list[str]  #: in the order of the outputs
    channels: list[str]
    sample_rate_hz: float
    window_s: float
    window_samples: int
    standardised: Literal["per window and channel"] = "per window and channel"
    bearing: BearingGeometry | None
    feature_names: list[str] = Field(default_factory=list)  #: of a model that reads features, per column
    dataset_id: UUID
    dataset_name: str
    dataset_digest: str
    split: SplitSpec
    synthetic: SyntheticSpec | None = None  #: what was trained on besides, or instead
    synthetic_windows: int = 0
    seed: int
    versions: dict[str, str]

    def setup(self) -> Setup:
        """What the model needs to be built."""
        return Setup(
            faults=tuple(self.faults),
            channels=tuple(self.channels),
            window_samples=self.window_samples,
            sample_rate_hz=self.sample_rate_hz,
            bearing=self.bearing,
            seed=self.seed,
        )


class SplitFile(View):
    """Content of `split.json`: record ids per side."""

    train: list[str]
    validation: list[str]
    test: list[str]
    tail: list[str]  #: training records whose last `tail_fraction` validates
    tail_fraction: float
    report: SplitReport


def read_card(path_of: Callable[[str], Path]) -> ModelCard:
    """Read `model.json`. Raises `UserError` for one that is damaged or of another version."""
    return _read(ModelCard, path_of(MODEL_NAME))


def read_split(path_of: Callable[[str], Path]) -> SplitFile:
    """Read `split.json`. Raises `UserError` for one that is damaged."""
    return _read(SplitFile, path_of(SPLIT_NAME))


def load_model(card: ModelCard, path_of: Callable[[str], Path]) -> Model:
    """The trained model. Raises `UserError` if card and weights do not fit each other or this release."""
    model = new_model(card.recipe, card.setup())
    described: Mapping[str, Any] = model.config()
    if described.get("feature_names", []) != card.feature_names:
        raise UserError(
            f"Model {card.name!r} was trained on other features than this release computes.",
            remedy="Train the model again.",
        )
    model.load(path_of(model.file_name))
    return model


def _read(kind: type[T], path: Path) -> T:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole file"
        raise UserError(f"{path.name} is not valid at {place}.", remedy="Train the model again.") from error

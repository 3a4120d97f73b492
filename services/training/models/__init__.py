"""Recipe type -> model. One strategy, one file."""

from services.training.models.base import Fit, Model, Setup
from services.training.models.cnn1d import Cnn1d
from services.training.models.rf import RandomForest
from shared.contracts.specs import Recipe

__all__ = ["Fit", "Model", "Setup", "new_model"]


def new_model(recipe: Recipe, setup: Setup) -> Model:
    """An untrained model."""
    match recipe.type:
        case "rf":
            return RandomForest(recipe, setup)
        case "cnn1d":
            return Cnn1d(recipe, setup)

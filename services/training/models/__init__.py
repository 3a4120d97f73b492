"""Recipe type -> model. One strategy, one file."""

from services.training.models.base import Fit, Model, Setup
from services.training.models.cnn1d import Cnn1d
from services.training.models.convnet import ConvNet
from services.training.models.rf import RandomForest
from shared.contracts.specs import Recipe

__all__ = ["Fit", "Model", "Setup", "new_model"]


def new_model(recipe: Recipe, setup: Setup) -> Model:
    """An untrained model. Raises `UserError` for a recipe that cannot read such windows."""
    match recipe.type:
        case "rf":
            return RandomForest(recipe, setup)
        case "cnn1d":
            return Cnn1d(recipe, setup)
        case "convnet":
            return ConvNet(recipe, setup)
